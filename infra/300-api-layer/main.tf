# The REST API. Its body is contracts/openapi.yaml, in the parts and with the extensions API Gateway knows.
locals {
  api_name = "${local.project}-api-${local.workspace}"

  body = {
    openapi = local.contract.openapi
    info    = { title = local.api_name, version = local.contract.info.version }
    paths   = local.paths

    components = {
      schemas = local.models
      securitySchemes = {
        caller = {
          type                         = "apiKey"
          name                         = "Authorization"
          in                           = "header"
          x-amazon-apigateway-authtype = "custom"
          x-amazon-apigateway-authorizer = {
            type           = "request"
            identitySource = "method.request.header.Authorization"
            authorizerUri  = local.functions["authorizer"].invoke_arn
            # For as long as this a token that was withdrawn is let through; each is verified once in that time.
            authorizerResultTtlInSeconds = 60
          }
        }
        # The caller's key, by which its usage plan is found: the authorizer names it, clients send none.
        key = { type = "apiKey", name = "x-api-key", in = "header" }
      }
    }

    x-amazon-apigateway-api-key-source    = "AUTHORIZER"
    x-amazon-apigateway-gateway-responses = local.gateway_responses
    x-amazon-apigateway-request-validators = {
      all        = { validateRequestBody = true, validateRequestParameters = true }
      parameters = { validateRequestBody = false, validateRequestParameters = true }
    }
  }
}

resource "aws_api_gateway_rest_api" "this" {
  name           = local.api_name
  description    = "Cutlass in ${local.workspace}"
  body           = jsonencode(local.body)
  api_key_source = "AUTHORIZER"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = length(local.unknown_functions) == 0
      error_message = "contracts/openapi.yaml names the functions ${join(", ", local.unknown_functions)}, which 200-compute-layer in ${local.workspace} has not made. Apply it again."
    }

    precondition {
      condition     = length(local.left_out) == 0
      error_message = "The models of request bodies name ${join(", ", local.left_out)} too deep for operations.tf, which follows names twice."
    }
  }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A stage serves what was deployed, not what was imported.
  triggers = {
    body = sha256(aws_api_gateway_rest_api.this.body)
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  # checkov:skip=CKV_AWS_120:Answers are decisions and figures of the moment, a cache would make them old
  # checkov:skip=CKV2_AWS_51:Callers show bearer tokens, none has a certificate
  # checkov:skip=CKV2_AWS_29:The firewall is there where enhanced security is on, which is a matter of cost
  # checkov:skip=CKV2_AWS_77:The firewall has these rules; checkov does not follow an association that is counted
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = var.api_gateway_stage
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.this["access"].arn
    format          = jsonencode(local.access_log)
  }

  depends_on = [aws_api_gateway_account.this, aws_cloudwatch_log_group.this["execution"]]
}

locals {
  # The gateway's fence around all callers together: that of the largest plan.
  throttle = {
    rate  = max([for plan in local.catalogue.plans : plan.throttle.requests_per_second]...)
    burst = max([for plan in local.catalogue.plans : plan.throttle.burst]...)
  }

  # Who shows no token shares a narrow gate: a health check needs no more.
  method_settings = merge(
    { "*/*" = local.throttle },
    {
      for operation in local.operations :
      "${trimprefix(operation.path, "/")}/${upper(operation.verb)}" => { rate = 50, burst = 100 } if operation.open
    },
  )
}

resource "aws_api_gateway_method_settings" "this" {
  # checkov:skip=CKV_AWS_225:Answers are decisions and figures of the moment, a cache would make them old
  for_each = local.method_settings

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = each.key

  settings {
    metrics_enabled = var.enable_detailed_monitoring
    logging_level   = "ERROR"
    # A trace of data would write tokens into the log.
    data_trace_enabled     = false
    caching_enabled        = false
    cache_data_encrypted   = true
    throttling_rate_limit  = each.value.rate
    throttling_burst_limit = each.value.burst
  }
}

# The gateway may call what its operations name, by the very method and path, and the authorizer.
resource "aws_lambda_permission" "operation" {
  for_each = local.operations

  statement_id  = "${local.api_name}-${each.key}"
  function_name = try(local.functions[each.value.function].name, "")
  qualifier     = try(local.functions[each.value.function].alias, "")
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${var.api_gateway_stage}/${upper(each.value.verb)}${replace(each.value.path, "/\\{[^}]*\\}/", "*")}"
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "${local.api_name}-authorizer"
  function_name = local.functions["authorizer"].name
  qualifier     = local.functions["authorizer"].alias
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/*"
}
