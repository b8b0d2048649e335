output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "state_bucket" {
  description = "The bucket of all state of this account."
  value       = aws_s3_bucket.state.id
}

output "lock_table" {
  description = "The table that locks state."
  value       = aws_dynamodb_table.locks.name
}

output "state_key_arn" {
  description = "The key that encrypts state and locks."
  value       = aws_kms_key.state.arn
}
