# Queues of contracts/functions.yaml with their dead-letter queues, under a customer key, that answer over TLS only.
locals {
  dead = toset([for queue in values(var.queues) : queue.dead_letter.queue if queue.dead_letter != null])

  all = merge(aws_sqs_queue.this, aws_sqs_queue.dead)
}

resource "aws_sqs_queue" "dead" {
  for_each = local.dead

  name                       = "${var.prefix}-${each.key}-${var.workspace}"
  message_retention_seconds  = var.queues[each.key].retention_days * 86400
  visibility_timeout_seconds = var.queues[each.key].visibility_timeout_seconds
  kms_master_key_id          = var.key_arn
}

resource "aws_sqs_queue" "this" {
  for_each = { for name, queue in var.queues : name => queue if !contains(local.dead, name) }

  name                       = "${var.prefix}-${each.key}-${var.workspace}"
  message_retention_seconds  = each.value.retention_days * 86400
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  kms_master_key_id          = var.key_arn

  redrive_policy = each.value.dead_letter == null ? null : jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.value.dead_letter.queue].arn
    maxReceiveCount     = each.value.dead_letter.max_receives
  })
}

# Only the queue it serves may put messages into a dead-letter queue.
resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each = local.dead

  queue_url = aws_sqs_queue.dead[each.key].id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns = [
      for name, queue in aws_sqs_queue.this : queue.arn if try(var.queues[name].dead_letter.queue, "") == each.key
    ]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = var.queues

  queue_url = local.all[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = local.all[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      [for topic in lookup(var.topic_arns, each.key, null)[*] : {
        Sid       = "Topic"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.all[each.key].arn
        Condition = { ArnEquals = { "aws:SourceArn" = topic } }
      }],
    )
  })
}
