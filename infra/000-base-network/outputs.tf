output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "The public subnets, one per zone."
  value       = aws_subnet.public[*].id
}

output "private_subnet_ids" {
  description = "The private subnets, one per zone, for functions."
  value       = aws_subnet.private[*].id
}

output "functions_security_group_id" {
  description = "The security group of functions: HTTPS out, nothing in."
  value       = aws_security_group.functions.id
}

output "nat_public_ip" {
  description = "The address from which functions reach the internet, for customers who let only known addresses in."
  value       = aws_eip.nat.public_ip
}

output "key_arns" {
  description = "The region's keys by what they encrypt: tables, objects, messages, logs."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}
