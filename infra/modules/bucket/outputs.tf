output "name" {
  description = "The bucket's name, once versions are kept: replication needs them."
  value       = aws_s3_bucket.this.id

  depends_on = [aws_s3_bucket_versioning.this]
}

output "arn" {
  description = "The bucket's ARN, once versions are kept."
  value       = aws_s3_bucket.this.arn

  depends_on = [aws_s3_bucket_versioning.this]
}
