# A region that is drained is told unhealthy whatever it answers: a check that is disabled counts as healthy, and inverted as
# unhealthy. The change is Route 53's to spread; failing over by itself needs no change at all.
resource "aws_route53_health_check" "region" {
  for_each = toset(local.region_names)

  type               = "HTTPS"
  fqdn               = local.domains[each.key]
  port               = 443
  resource_path      = "/health"
  enable_sni         = true
  request_interval   = var.environment == "prod" ? 10 : 30
  failure_threshold  = 3
  disabled           = contains(var.drained_regions, each.key)
  invert_healthcheck = contains(var.drained_regions, each.key)

  tags = { Name = "${local.project}-${var.environment}-${each.key}" }
}

# Healthy while any region is.
resource "aws_route53_health_check" "any" {
  type                   = "CALCULATED"
  child_healthchecks     = [for check in aws_route53_health_check.region : check.id]
  child_health_threshold = 1

  tags = { Name = "${local.project}-${var.environment}-any-region" }
}
