# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

mock_provider "aws" {
  alias           = "global"
  source          = "../shared/mocks"
  override_during = plan
}

override_resource {
  target          = aws_sns_topic.operators
  override_during = plan
  values = {
    id  = "arn:aws:sns:us-east-1:111111111111:operators"
    arn = "arn:aws:sns:us-east-1:111111111111:operators"
  }
}

override_resource {
  target          = aws_route53_zone.this["global"]
  override_during = plan
  values          = { zone_id = "ZGLOBAL", name_servers = ["ns-1.example.com", "ns-2.example.com"] }
}

override_resource {
  target          = aws_route53_zone.this["sydney"]
  override_during = plan
  values          = { zone_id = "ZSYDNEY" }
}

override_resource {
  target          = aws_route53_health_check.region["london"]
  override_during = plan
  values          = { id = "london-is-healthy" }
}

override_resource {
  target          = aws_route53_health_check.region["sydney"]
  override_during = plan
  values          = { id = "sydney-is-healthy" }
}

override_resource {
  target          = aws_route53_health_check.any
  override_during = plan
  values          = { id = "any-is-healthy" }
}

override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = { workspace = "applied" }
  }
}

override_data {
  target = data.terraform_remote_state.this["api-london"]
  values = {
    outputs = {
      workspace     = "applied"
      custom_domain = { target_domain_name = "d-london.example.com", target_zone_id = "ZAPILONDON" }
      global_domain = { target_domain_name = "d-global-london.example.com", target_zone_id = "ZAPILONDON" }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["messaging-london"]
  values = {
    outputs = {
      workspace = "applied"
      queues    = { reports = { name = "reports-london" } }
      mail = {
        identity    = "mail.example.com"
        dkim_tokens = ["london-1", "london-2", "london-3"]
        mail_from   = "bounce-london.mail.example.com"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["api-sydney"]
  values = {
    outputs = {
      workspace     = "applied"
      custom_domain = { target_domain_name = "d-sydney.example.com", target_zone_id = "ZAPISYDNEY" }
      global_domain = { target_domain_name = "d-global-sydney.example.com", target_zone_id = "ZAPISYDNEY" }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["messaging-sydney"]
  values = {
    outputs = {
      workspace = "applied"
      queues    = { reports = { name = "reports-sydney" } }
      mail = {
        identity    = "mail.example.com"
        dkim_tokens = ["sydney-1", "sydney-2", "sydney-3"]
        mail_from   = "bounce-sydney.mail.example.com"
      }
    }
  }
}

run "global_services" {
  command = plan

  assert {
    condition     = { for name, zone in aws_route53_zone.this : name => zone.name }["global"] == var.global_domain_name && length(aws_route53_zone.this) == 3
    error_message = "The global domain and each region's have a zone of their own, for the account can answer for no others."
  }

  assert {
    condition     = toset(keys(output.name_servers)) == toset(values(local.domains)) && output.name_servers[var.global_domain_name] == tolist(["ns-1.example.com", "ns-2.example.com"])
    error_message = "The name servers of every domain are told, for whoever has the parent to enter them."
  }

  assert {
    condition = (
      aws_route53_record.regional["sydney"].zone_id == "ZSYDNEY" &&
      aws_route53_record.regional["sydney"].name == local.workspaces["${var.environment}-sydney"].domain_name &&
      aws_route53_record.regional["sydney"].alias[0].name == "d-sydney.example.com"
    )
    error_message = "A region's domain leads to that region's interface."
  }

  assert {
    condition = alltrue([
      for name, check in aws_route53_health_check.region : alltrue([
        check.type == "HTTPS",
        check.fqdn == local.workspaces["${var.environment}-${name}"].domain_name,
        check.resource_path == "/health",
        !check.disabled,
        !check.invert_healthcheck,
      ])
    ])
    error_message = "Each region is asked for its health over HTTPS, under its own domain."
  }

  assert {
    condition     = aws_route53_health_check.any.child_healthchecks == toset(["london-is-healthy", "sydney-is-healthy"]) && aws_route53_health_check.any.child_health_threshold == 1
    error_message = "The whole is healthy while any region is."
  }

  assert {
    condition     = aws_route53_record.api.name == var.global_domain_name && aws_route53_record.api.alias[0].name == "geolocation.${var.global_domain_name}"
    error_message = "The global domain goes by place unless told otherwise."
  }

  assert {
    condition = { for name, record in aws_route53_record.latency : name => [record.set_identifier, record.health_check_id, record.latency_routing_policy[0].region, record.alias[0].name] } == {
      london = ["london", "london-is-healthy", "eu-west-2", "d-global-london.example.com"]
      sydney = ["sydney", "sydney-is-healthy", "ap-southeast-2", "d-global-sydney.example.com"]
    }
    error_message = "By latency every region is reached while it is healthy, under the global domain."
  }

  assert {
    condition = { for continent, record in aws_route53_record.geolocation : continent => record.health_check_id } == {
      AF = "london-is-healthy"
      AN = "sydney-is-healthy"
      AS = "sydney-is-healthy"
      EU = "london-is-healthy"
      NA = "london-is-healthy"
      OC = "sydney-is-healthy"
      SA = "london-is-healthy"
    }
    error_message = "Every continent of the contract goes to its region, while that is healthy."
  }

  assert {
    condition = alltrue([
      aws_route53_record.elsewhere.name == aws_route53_record.geolocation["EU"].name,
      aws_route53_record.elsewhere.geolocation_routing_policy[0].country == "*",
      aws_route53_record.elsewhere.alias[0].name == "latency.${var.global_domain_name}",
      aws_route53_record.elsewhere.alias[0].evaluate_target_health,
    ])
    error_message = "Callers from elsewhere, or whose region is not healthy, go to the nearest that is."
  }

  assert {
    condition = alltrue([
      aws_route53_record.failover["PRIMARY"].alias[0].name == "d-global-london.example.com",
      aws_route53_record.failover["PRIMARY"].health_check_id == "london-is-healthy",
      aws_route53_record.failover["SECONDARY"].alias[0].name == "latency.${var.global_domain_name}",
      aws_route53_record.failover["SECONDARY"].alias[0].evaluate_target_health,
    ])
    error_message = "By failover callers go to the home region while it is healthy, then to the nearest other one."
  }

  assert {
    condition     = sort([for record in aws_route53_record.dkim : one(record.records)]) == tolist([for token in ["london-1", "london-2", "london-3", "sydney-1", "sydney-2", "sydney-3"] : "${token}.dkim.amazonses.com"])
    error_message = "Each region's signatures of mail can be checked."
  }

  assert {
    condition     = { for name, record in aws_route53_record.mail_from_mx : record.name => one(record.records) }["bounce-sydney.mail.example.com"] == "10 feedback-smtp.ap-southeast-2.amazonses.com"
    error_message = "Bounces come back to the region that sent."
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.health) == ["any", "london", "sydney"] && alltrue([for alarm in aws_cloudwatch_metric_alarm.health : alarm.alarm_actions == toset(["arn:aws:sns:us-east-1:111111111111:operators"])])
    error_message = "Operators are told when a region gets no callers, and when none would."
  }

  assert {
    condition = alltrue([
      aws_budgets_budget.this.limit_amount == tostring(var.monthly_budget_usd),
      length(aws_budgets_budget.this.notification) == 2,
      alltrue([for notification in aws_budgets_budget.this.notification : notification.subscriber_email_addresses == var.operator_emails]),
    ])
    error_message = "Operators are told before the month's budget is spent."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 1 + 4 * length(local.region_names)
    error_message = "The dashboard shows the health checks, and the same parts of every region."
  }

  assert {
    condition     = output.api_domain == "https://${var.global_domain_name}" && output.monitoring_urls["health_sydney"] == "https://${local.workspaces["${var.environment}-sydney"].domain_name}/health"
    error_message = "Where callers go, and where operators look, is told."
  }
}

run "standby_takes_over" {
  command = plan

  variables {
    drained_regions = ["london"]
  }

  assert {
    condition     = { for name, check in aws_route53_health_check.region : name => [check.disabled, check.invert_healthcheck] } == { london = [true, true], sydney = [false, false] }
    error_message = "A drained region is told unhealthy whatever it answers; the others are asked as ever."
  }
}

run "by_latency" {
  command = plan

  variables {
    routing_policy = "latency"
  }

  assert {
    condition     = aws_route53_record.api.alias[0].name == "latency.${var.global_domain_name}" && aws_route53_record.api.alias[0].evaluate_target_health
    error_message = "routing_policy latency has to lead to the records by latency."
  }
}

run "by_failover" {
  command = plan

  variables {
    routing_policy = "failover"
  }

  assert {
    condition     = aws_route53_record.api.alias[0].name == "failover.${var.global_domain_name}" && aws_route53_record.api.alias[0].evaluate_target_health
    error_message = "routing_policy failover has to lead to the records by failover."
  }
}

run "certificates_stay_valid" {
  command = plan

  variables {
    certificate_validation_records = [{ name = "_3639.${var.global_domain_name}.", value = "_5c1a.acm-validations.aws." }]
  }

  assert {
    condition = { for name, record in aws_route53_record.certificate_validation : name => [record.zone_id, one(record.records)] } == {
      "_3639.${var.global_domain_name}" = ["ZGLOBAL", "_5c1a.acm-validations.aws."]
    }
    error_message = "What ACM asks for is in the zone of the domain it is about."
  }
}
