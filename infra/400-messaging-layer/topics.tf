resource "aws_sns_topic" "operators" {
  name              = local.operators_topic
  kms_master_key_id = local.key_arn
}

resource "aws_sns_topic" "mail_events" {
  name              = "${local.project}-mail-events-${local.workspace}"
  kms_master_key_id = local.key_arn
}

# Who may publish: the service a topic is for, on behalf of this account.
locals {
  topics = {
    operators   = { topic = aws_sns_topic.operators, service = "cloudwatch.amazonaws.com" }
    mail_events = { topic = aws_sns_topic.mail_events, service = "ses.amazonaws.com" }
  }
}

resource "aws_sns_topic_policy" "this" {
  for_each = local.topics

  arn = each.value.topic.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = each.value.topic.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Service"
        Effect    = "Allow"
        Principal = { Service = each.value.service }
        Action    = "sns:Publish"
        Resource  = each.value.topic.arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "operators" {
  for_each = var.operator_emails

  topic_arn = aws_sns_topic.operators.arn
  protocol  = "email"
  endpoint  = each.value
}
