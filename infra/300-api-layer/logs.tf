locals {
  log_groups = merge(
    {
      access = "/aws/apigateway/${local.api_name}"
      # API Gateway would make this one by itself, without a key and for ever.
      execution = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${var.api_gateway_stage}"
    },
    # WAF writes only to groups whose names begin so.
    var.enable_enhanced_security ? { firewall = "aws-waf-logs-${local.api_name}" } : {},
  )

  # One line per request. No token and no body: who called is told by the id of the user or client.
  access_log = {
    at             = "$context.requestTimeEpoch"
    request_id     = "$context.requestId"
    trace_id       = "$context.xrayTraceId"
    method         = "$context.httpMethod"
    route          = "$context.resourcePath"
    status         = "$context.status"
    bytes          = "$context.responseLength"
    ms             = "$context.responseLatency"
    integration_ms = "$context.integrationLatency"
    authorizer_ms  = "$context.authorizer.latency"
    principal      = "$context.authorizer.principalId"
    org_id         = "$context.authorizer.org_id"
    source_ip      = "$context.identity.sourceIp"
    user_agent     = "$context.identity.userAgent"
    problem        = "$context.error.responseType"
    error          = "$context.integrationErrorMessage"
  }
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338:How long lines are kept is a matter of the environment, up to 30 days in prod
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arns.logs
}

# API Gateway writes its logs, of all APIs of the account in this region, by one role: a setting of the region. AWS tests
# the role when it is set, and names this policy as what it needs.
resource "aws_iam_role" "logs" {
  name        = "${local.project}-api-logs-${local.workspace}"
  description = "API Gateway writes logs"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.logs.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.logs.arn

  depends_on = [aws_iam_role_policy_attachment.logs]
}
