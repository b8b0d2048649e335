# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = {
      workspace = "applied"
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["network"]
  values = {
    outputs = {
      workspace = "applied"
      key_arns  = { logs = "arn:aws:kms:eu-west-2:111111111111:key/logs" }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["data"]
  values = {
    outputs = {
      workspace = "applied"
      tables    = { organisations = { name = "cutlass-tech-organisations-mocked" } }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["compute"]
  values = {
    outputs = {
      workspace = "applied"
      roles     = { gateway-keys = "cutlass-tech-gateway-keys-mocked" }
      functions = {
        for name in [
          "usage-check", "reservations", "balance", "usage", "ledger", "grants", "organisations", "users", "refunds", "plans",
          "alerts", "health", "authorizer", "claims", "reports",
        ] :
        name => {
          name       = "cutlass-tech-${name}-mocked"
          arn        = "arn:aws:lambda:eu-west-2:111111111111:function:cutlass-tech-${name}-mocked"
          alias      = "live"
          alias_arn  = "arn:aws:lambda:eu-west-2:111111111111:function:cutlass-tech-${name}-mocked:live"
          invoke_arn = "arn:aws:apigateway:eu-west-2:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-2:111111111111:function:cutlass-tech-${name}-mocked:live/invocations"
        }
      }
    }
  }
}

run "interface_and_users" {
  command = plan

  assert {
    condition     = length(aws_lambda_permission.operation) == length(local.operations) && length(local.operations) > 15
    error_message = "The gateway needs a permission for each operation of the contract."
  }

  assert {
    condition     = aws_lambda_permission.operation["commitReservation"].source_arn == "${aws_api_gateway_rest_api.this.execution_arn}/${var.api_gateway_stage}/POST/reservations/*/commit"
    error_message = "A permission names method and path, with a star for each parameter."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this["access"].name == "/aws/apigateway/cutlass-tech-api-${terraform.workspace}"
    error_message = "The access log has to be where operators look for it."
  }

  assert {
    condition = alltrue([
      for group in aws_cloudwatch_log_group.this : group.retention_in_days == var.log_retention_days && group.kms_key_id == local.key_arns.logs
    ])
    error_message = "Every log group is encrypted with the region's key and kept as long as the environment says."
  }

  assert {
    condition     = !strcontains(lower(aws_api_gateway_stage.this.access_log_settings[0].format), "authorization") && aws_api_gateway_stage.this.xray_tracing_enabled
    error_message = "Requests are traced, and the access log holds no token."
  }

  assert {
    condition = alltrue([
      for settings in aws_api_gateway_method_settings.this : alltrue([
        settings.settings[0].metrics_enabled == var.enable_detailed_monitoring,
        settings.settings[0].logging_level == "ERROR",
        !settings.settings[0].data_trace_enabled,
        settings.settings[0].throttling_rate_limit > 0,
        settings.settings[0].throttling_burst_limit > 0,
      ])
    ])
    error_message = "Every method is throttled, logs errors without data, and is measured where detailed monitoring is on."
  }

  assert {
    condition     = toset(keys(aws_api_gateway_method_settings.this)) == toset(["*/*", "health/GET", "health/HEAD"])
    error_message = "Routes without a token, and only they, have a narrower throttle."
  }

  assert {
    condition = alltrue([
      for name, plan in local.catalogue.plans : alltrue([
        aws_api_gateway_usage_plan.this[name].name == "cutlass-tech-${name}-${terraform.workspace}",
        one(aws_api_gateway_usage_plan.this[name].throttle_settings).rate_limit == plan.throttle.requests_per_second,
        one(aws_api_gateway_usage_plan.this[name].throttle_settings).burst_limit == plan.throttle.burst,
      ])
    ])
    error_message = "Each plan of the catalogue has a usage plan with its throttle."
  }

  assert {
    condition     = aws_api_gateway_domain_name.this.security_policy == "TLS_1_2" && aws_api_gateway_domain_name.this.regional_certificate_arn == var.certificate_arn
    error_message = "The custom domain is regional, with the region's certificate and TLS 1.2."
  }

  assert {
    condition     = output.global_domain.name == var.global_domain_name && aws_api_gateway_domain_name.global.security_policy == "TLS_1_2" && aws_api_gateway_base_path_mapping.global.stage_name == aws_api_gateway_stage.this.stage_name
    error_message = "Callers who come by the global domain are answered too, over TLS 1.2."
  }

  assert {
    condition     = length(aws_wafv2_web_acl.this) == (var.enable_enhanced_security ? 1 : 0)
    error_message = "The firewall is there where enhanced security is on."
  }

  assert {
    condition     = aws_cognito_user_pool.this.mfa_configuration == (var.environment == "prod" ? "ON" : "OPTIONAL")
    error_message = "People in prod need a second factor."
  }

  assert {
    condition     = aws_cognito_user_pool.this.deletion_protection == (var.environment == "dev" ? "INACTIVE" : "ACTIVE")
    error_message = "Outside dev users are protected against deletion."
  }

  assert {
    condition     = length(setintersection(aws_cognito_user_pool_client.web.write_attributes, [for name in keys(local.own_attributes) : "custom:${name}"])) == 0
    error_message = "People must not write what the tokens say of their organisation and role."
  }

  assert {
    condition     = toset(aws_cognito_user_pool_client.service.allowed_oauth_scopes) == toset(["usage/check", "usage/read", "credits/write", "reports/write", "admin/all"])
    error_message = "The service client has the scopes of the contract, in Cognito's form."
  }

  assert {
    condition     = tolist(aws_cognito_user_pool_client.web.allowed_oauth_flows) == tolist(["code"]) && !aws_cognito_user_pool_client.web.generate_secret
    error_message = "People sign in with a code, and their client has no secret."
  }

  assert {
    condition     = jsondecode(aws_dynamodb_table_item.issuer.item).pk.S == "${var.region}#issuer"
    error_message = "A region's issuer is an item the region owns."
  }
}
