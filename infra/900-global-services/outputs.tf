output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "api_domain" {
  description = "Where callers go."
  value       = "https://${var.global_domain_name}"
}

output "name_servers" {
  description = "By domain, the name servers to enter as NS records where its parent is kept."
  value       = { for name, zone in aws_route53_zone.this : local.domains[name] => zone.name_servers }
}

output "monitoring_urls" {
  description = "Where to look: dashboard, health checks and cost; per region its alarms, its logs and its health."
  value = merge(
    {
      dashboard     = "https://${var.aws_region}.console.aws.amazon.com/cloudwatch/home?region=${var.aws_region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
      health_checks = "https://us-east-1.console.aws.amazon.com/route53/healthchecks/home"
      health_alarms = "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#alarmsV2:"
      cost          = "https://us-east-1.console.aws.amazon.com/billing/home#/budgets"
    },
    { for name, region in local.aws_regions : "alarms_${name}" => "https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#alarmsV2:" },
    { for name, region in local.aws_regions : "logs_${name}" => "https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#logsV2:log-groups" },
    { for name in local.region_names : "health_${name}" => "https://${local.domains[name]}/health" },
  )
}
