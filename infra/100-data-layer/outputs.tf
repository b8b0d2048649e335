output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "tables" {
  description = "The tables in this region by the name of the contract: name, arn, stream_arn."
  value       = local.table_facts
}

output "buckets" {
  description = "The buckets of this region, reports and archive: name, arn, copy (the name of the copy in another region)."
  value = {
    for name, bucket in module.bucket : name => {
      name = bucket.name
      arn  = bucket.arn
      copy = module.copy[name].name
    }
  }
}

output "workgroup" {
  description = "The name of Athena's workgroup for reports; its database has the same name with underscores."
  value       = aws_athena_workgroup.reports.name
}

output "packages_bucket" {
  description = "The name of the bucket layer 200 puts the functions' packages into."
  value       = module.packages.name
}
