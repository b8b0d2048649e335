# The usage plans: the gateway's outer fence, best effort. The limits themselves are the functions'.
locals {
  usage_plans = merge(
    { for name, plan in local.catalogue.plans : name => { title = plan.title, rate = plan.throttle.requests_per_second, burst = plan.throttle.burst } },
    # A service acts for all organisations: it may use all that the gateway has.
    { service = { title = "Services, across organisations", rate = local.throttle.rate, burst = local.throttle.burst } },
  )
  plan_arns = [for name in keys(local.catalogue.plans) : "${local.gateway_arn}/usageplans/${aws_api_gateway_usage_plan.this[name].id}/keys"]

  gateway_arn = "arn:aws:apigateway:${var.aws_region}::"
}

resource "aws_api_gateway_usage_plan" "this" {
  for_each = local.usage_plans

  name        = "${local.project}-${each.key}-${local.workspace}"
  description = each.value.title

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = each.value.rate
    burst_limit = each.value.burst
  }
}

# The key of services, derived as src/cutlass/api/gateway_keys.py derives it: the same in all regions, for a token of one is
# shown in the others too. The keys of organisations are made as they come, by the function gateway-keys.
resource "aws_api_gateway_api_key" "service" {
  name        = "${local.project}-service-${local.workspace}"
  description = "Services, across organisations"
  value       = sha256("service")
}

resource "aws_api_gateway_usage_plan_key" "service" {
  usage_plan_id = aws_api_gateway_usage_plan.this["service"].id
  key_id        = aws_api_gateway_api_key.service.id
  key_type      = "API_KEY"
}

# The function's role is layer 200's, which cannot know these plans.
resource "aws_iam_role_policy" "gateway_keys" {
  name = "gateway-keys"
  role = local.roles["gateway-keys"]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "FindKeysAndPlans"
        Effect   = "Allow"
        Action   = ["apigateway:GET"]
        Resource = ["${local.gateway_arn}/apikeys", "${local.gateway_arn}/usageplans"]
      },
      {
        Sid      = "MakeKeys"
        Effect   = "Allow"
        Action   = ["apigateway:POST"]
        Resource = ["${local.gateway_arn}/apikeys"]
      },
      {
        Sid      = "PutKeysIntoPlans"
        Effect   = "Allow"
        Action   = ["apigateway:GET", "apigateway:POST"]
        Resource = local.plan_arns
      },
      {
        Sid      = "TakeKeysOutOfPlans"
        Effect   = "Allow"
        Action   = ["apigateway:DELETE"]
        Resource = [for arn in local.plan_arns : "${arn}/*"]
      },
    ]
  })
}
