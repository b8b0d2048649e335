# The region's keys, one per kind of data. They are made in this layer, and not with the data, because London makes the
# replicas of tables and buckets in other regions with the keys of those regions (docs/decisions/0019-region-keys-in-the-base-layer.md).
locals {
  account_root = "arn:aws:iam::${var.aws_account_id}:root"

  # via: the services by which the account's own roles use a key, if their IAM policies let them. services: the services that
  # use it by themselves, for this account only.
  keys = {
    tables  = { title = "DynamoDB tables", via = ["dynamodb.*.amazonaws.com"], services = [], condition = {} }
    objects = { title = "Buckets", via = ["s3.${var.aws_region}.amazonaws.com"], services = [], condition = {} }
    messages = {
      title     = "Queues and topics"
      via       = ["sqs.${var.aws_region}.amazonaws.com", "sns.${var.aws_region}.amazonaws.com"]
      services  = ["cloudwatch.amazonaws.com", "ses.amazonaws.com", "sns.amazonaws.com"]
      condition = { StringEquals = { "aws:SourceAccount" = var.aws_account_id } }
    }
    logs = {
      title    = "Log groups"
      via      = []
      services = ["logs.${var.aws_region}.amazonaws.com"]
      condition = {
        ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = "arn:aws:logs:${var.aws_region}:${var.aws_account_id}:log-group:*"
        }
      }
    }
  }

  key_statements = {
    for name, key in local.keys : name => concat(
      [{
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = local.account_root }
        Action    = local.key_administration
        Resource  = "*"
      }],
      [for via in length(key.via) > 0 ? [key.via] : [] : {
        Sid       = "ThroughServices"
        Effect    = "Allow"
        Principal = { AWS = local.account_root }
        Action    = local.key_use
        Resource  = "*"
        Condition = { StringLike = { "kms:ViaService" = via } }
      }],
      [for services in length(key.services) > 0 ? [key.services] : [] : {
        Sid       = "ByServices"
        Effect    = "Allow"
        Principal = { Service = services }
        Action    = [for action in local.key_use : action if action != "kms:CreateGrant"]
        Resource  = "*"
        Condition = key.condition
      }],
    )
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = "${each.value.title} of ${local.workspace}"
  deletion_window_in_days = local.protect_data ? 30 : 7
  enable_key_rotation     = true
  policy                  = jsonencode({ Version = "2012-10-17", Statement = local.key_statements[each.key] })

  tags = { Name = "${local.project}-${each.key}-${local.workspace}" }
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${local.project}-${each.key}-${local.workspace}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
