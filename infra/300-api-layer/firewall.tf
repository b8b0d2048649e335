# The web application firewall, where enhanced security is on.
locals {
  # AWS's own rules besides those on known bad inputs, and which of each would refuse good requests: they are counted instead.
  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = []
    AWSManagedRulesCommonRuleSet = [
      "SizeRestrictions_BODY", # a batch is larger than 8 KB; the functions refuse what is over 64 KB
      "NoUserAgent_HEADER",    # backends need not have one
    ]
  }

  # Requests of one address in five minutes: a backend at the largest plan's rate stays below.
  requests_per_address = 2 * 300 * local.throttle.rate
}

resource "aws_wafv2_web_acl" "this" {
  count = var.enable_enhanced_security ? 1 : 0

  name        = local.api_name
  description = "Before ${local.api_name}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 0

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = local.requests_per_address
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.api_name}-rate"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "AWSManagedRulesKnownBadInputsRuleSet"
    priority = 1

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
        vendor_name = "AWS"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${local.api_name}-AWSManagedRulesKnownBadInputsRuleSet"
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules

    content {
      name     = rule.key
      priority = 2 + index(keys(local.managed_rules), rule.key)

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"

          dynamic "rule_action_override" {
            for_each = rule.value

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${local.api_name}-${rule.key}"
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = local.api_name
    sampled_requests_enabled   = true
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = length(aws_wafv2_web_acl.this)

  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this[count.index].arn
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  count = length(aws_wafv2_web_acl.this)

  resource_arn            = aws_wafv2_web_acl.this[count.index].arn
  log_destination_configs = [aws_cloudwatch_log_group.this["firewall"].arn]

  # Tokens are no matter for a log.
  redacted_fields {
    single_header {
      name = "authorization"
    }
  }
}
