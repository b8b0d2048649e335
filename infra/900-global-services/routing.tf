# The record sets of all three policies are always there, under names of their own, and the global domain is an alias of one
# of them. To change the policy is to change that one record, at once: two policies cannot share a name meanwhile.
locals {
  zone_id = aws_route53_zone.this["global"].zone_id

  continents = merge([
    for name in local.region_names : { for continent in try(local.regions[name].continents, []) : continent => name }
  ]...)
}

resource "aws_route53_record" "api" {
  zone_id = local.zone_id
  name    = var.global_domain_name
  type    = "A"

  alias {
    name                   = "${var.routing_policy}.${var.global_domain_name}"
    zone_id                = local.zone_id
    evaluate_target_health = true
  }

  # An alias needs what it names.
  depends_on = [aws_route53_record.latency, aws_route53_record.geolocation, aws_route53_record.elsewhere, aws_route53_record.failover]
}

# The nearest of the healthy regions.
resource "aws_route53_record" "latency" {
  for_each = local.apis

  zone_id         = local.zone_id
  name            = "latency.${var.global_domain_name}"
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.key].id

  latency_routing_policy {
    region = local.aws_regions[each.key]
  }

  alias {
    name                   = try(each.value.global_domain.target_domain_name, "")
    zone_id                = try(each.value.global_domain.target_zone_id, "")
    evaluate_target_health = true
  }

  lifecycle {
    precondition {
      condition     = can(each.value.global_domain.target_domain_name)
      error_message = <<-EOT
        300-api-layer in ${var.environment}-${each.key} does not answer to ${var.global_domain_name}. In infra/300-api-layer, apply it again:
          terraform workspace select ${var.environment}-${each.key}
          terraform apply -var-file=vars/${var.environment}-${each.key}.tfvars
      EOT
    }
  }
}

# The region of the caller's continent while it is healthy.
resource "aws_route53_record" "geolocation" {
  for_each = local.continents

  zone_id         = local.zone_id
  name            = "geolocation.${var.global_domain_name}"
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.value].id

  geolocation_routing_policy {
    continent = each.key
  }

  alias {
    name                   = aws_route53_record.latency[each.value].alias[0].name
    zone_id                = aws_route53_record.latency[each.value].alias[0].zone_id
    evaluate_target_health = true
  }
}

# Callers whose place is not known, whose continent is no region's, or whose region is not healthy.
resource "aws_route53_record" "elsewhere" {
  zone_id         = local.zone_id
  name            = "geolocation.${var.global_domain_name}"
  type            = "A"
  set_identifier  = "default"
  health_check_id = aws_route53_health_check.any.id

  geolocation_routing_policy {
    country = "*"
  }

  alias {
    name                   = "latency.${var.global_domain_name}"
    zone_id                = local.zone_id
    evaluate_target_health = true
  }

  depends_on = [aws_route53_record.latency]
}

# The home region while it is healthy, then the nearest of the others.
resource "aws_route53_record" "failover" {
  for_each = {
    PRIMARY = {
      name            = aws_route53_record.latency[local.home].alias[0].name
      zone_id         = aws_route53_record.latency[local.home].alias[0].zone_id
      health_check_id = aws_route53_health_check.region[local.home].id
    }
    SECONDARY = {
      name            = "latency.${var.global_domain_name}"
      zone_id         = local.zone_id
      health_check_id = aws_route53_health_check.any.id
    }
  }

  zone_id         = local.zone_id
  name            = "failover.${var.global_domain_name}"
  type            = "A"
  set_identifier  = lower(each.key)
  health_check_id = each.value.health_check_id

  failover_routing_policy {
    type = each.key
  }

  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = true
  }

  depends_on = [aws_route53_record.latency]
}
