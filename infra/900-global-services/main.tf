# A zone for each domain of the environment: three accounts share a parent domain, and an account can answer for its own
# names only. Whoever has the parent delegates each of them, with the name servers this layer tells.
locals {
  domains = merge(
    { global = var.global_domain_name },
    { for name in local.region_names : name => local.workspaces["${var.environment}-${name}"].domain_name },
  )
}

resource "aws_route53_zone" "this" {
  # checkov:skip=CKV2_AWS_38:A broken chain of trust takes every region down at once, and its key could be in us-east-1 only
  # checkov:skip=CKV2_AWS_39:What follows an answer is in the access logs of the region it named
  for_each = local.domains

  name          = each.value
  comment       = "${each.key} interface of ${local.project} in ${var.environment}"
  force_destroy = false

  lifecycle {
    precondition {
      condition     = local.is_home
      error_message = <<-EOT
        900-global-services is applied once per environment, in the home region:
          terraform workspace select -or-create ${var.environment}-${local.home}
          terraform apply -var-file=vars/${var.environment}-${local.home}.tfvars
      EOT
    }
  }
}

# The interface of each region under its own domain, for health checks and for callers who want that region.
resource "aws_route53_record" "regional" {
  # checkov:skip=CKV2_AWS_23:It leads to what layer 300 makes, which is not in this configuration
  for_each = local.apis

  zone_id = aws_route53_zone.this[each.key].zone_id
  name    = local.domains[each.key]
  type    = "A"

  alias {
    name                   = try(each.value.custom_domain.target_domain_name, "")
    zone_id                = try(each.value.custom_domain.target_zone_id, "")
    evaluate_target_health = false
  }

  lifecycle {
    precondition {
      condition     = can(each.value.custom_domain.target_domain_name)
      error_message = <<-EOT
        300-api-layer in ${var.environment}-${each.key} does not tell the domain of its region. In infra/300-api-layer, apply it again:
        terraform workspace select ${var.environment}-${each.key}
          terraform apply -var-file=vars/${var.environment}-${each.key}.tfvars
      EOT
    }
  }
}

locals {
  validation_records = { for record in var.certificate_validation_records : trimsuffix(record.name, ".") => record.value }
}

# ACM renews a certificate only while it finds these.
resource "aws_route53_record" "certificate_validation" {
  for_each = local.validation_records

  zone_id = one([for name, domain in local.domains : aws_route53_zone.this[name].zone_id if endswith(each.key, ".${domain}")])
  name    = each.key
  type    = "CNAME"
  ttl     = 300
  records = [each.value]
}
