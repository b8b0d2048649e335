# In us-east-1, where the metrics of health checks are.
resource "aws_kms_key" "alarms" {
  provider = aws.global

  description             = "Alarms of the health checks of ${var.environment}"
  deletion_window_in_days = local.protect_data ? 30 : 7
  enable_key_rotation     = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.aws_account_id}:root" }
        Action    = local.key_administration
        Resource  = "*"
      },
      {
        Sid       = "ByServices"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "sns.amazonaws.com"] }
        Action    = [for action in local.key_use : action if action != "kms:CreateGrant"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
      },
    ]
  })
}

resource "aws_kms_alias" "alarms" {
  provider = aws.global

  name          = "alias/${local.project}-health-${local.workspace}"
  target_key_id = aws_kms_key.alarms.key_id
}

resource "aws_sns_topic" "operators" {
  provider = aws.global

  name              = "${local.project}-operators-health-${var.environment}"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_policy" "operators" {
  provider = aws.global

  arn = aws_sns_topic.operators.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.operators.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Service"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.operators.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "operators" {
  for_each = var.operator_emails
  provider = aws.global

  topic_arn = aws_sns_topic.operators.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  health_checks = merge(
    {
      for name, check in aws_route53_health_check.region :
      name => { id = check.id, tells = "DNS sends nobody to ${name}: its /health fails, or it is drained. The others answer." }
    },
    { any = { id = aws_route53_health_check.any.id, tells = "No region answers /health." } },
  )
}

resource "aws_cloudwatch_metric_alarm" "health" {
  for_each = local.health_checks
  provider = aws.global

  alarm_name          = "${local.project}-health-${each.key}-${var.environment}"
  alarm_description   = each.value.tells
  namespace           = "AWS/Route53"
  metric_name         = "HealthCheckStatus"
  dimensions          = { HealthCheckId = each.value.id }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  # Of what tells nothing it is not known that it answers.
  treat_missing_data = "breaching"
  alarm_actions      = [aws_sns_topic.operators.arn]
  ok_actions         = [aws_sns_topic.operators.arn]
}

# The account is the environment's own, so all it costs counts.
resource "aws_budgets_budget" "this" {
  name         = "${local.project}-${var.environment}"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      comparison_operator        = "GREATER_THAN"
      subscriber_email_addresses = var.operator_emails
    }
  }
}
