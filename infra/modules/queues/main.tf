# Queues of contracts/functions.yaml with their dead-letter queues, under a customer key, that answer over TLS only.
#
# ARNs are put together from names, so that a queue has its policies from the moment it is made. As resources of their own
# they would be set after it, and each change of a queue is waited for half a minute (docs/decisions/0030-packages-by-s3.md).
locals {
  names = { for name in keys(var.queues) : name => "${var.prefix}-${name}-${var.workspace}" }
  arns  = { for name, queue in local.names : name => "${var.arn_base}:${queue}" }

  dead   = toset([for queue in values(var.queues) : queue.dead_letter.queue if queue.dead_letter != null])
  served = { for dead in local.dead : dead => [for name, queue in var.queues : name if try(queue.dead_letter.queue, "") == dead] }

  all = merge(aws_sqs_queue.this, aws_sqs_queue.dead)

  policies = {
    for name, arn in local.arns : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        }],
        [for topic in lookup(var.topic_arns, name, null)[*] : {
          Sid       = "Topic"
          Effect    = "Allow"
          Principal = { Service = "sns.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = arn
          Condition = { ArnEquals = { "aws:SourceArn" = topic } }
        }],
      )
    })
  }
}

resource "aws_sqs_queue" "dead" {
  for_each = local.dead

  name                       = local.names[each.key]
  message_retention_seconds  = var.queues[each.key].retention_days * 86400
  visibility_timeout_seconds = var.queues[each.key].visibility_timeout_seconds
  kms_master_key_id          = var.key_arn
  policy                     = local.policies[each.key]

  # Only the queue it serves may put messages here.
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [for name in local.served[each.key] : local.arns[name]]
  })
}

resource "aws_sqs_queue" "this" {
  for_each = { for name, queue in var.queues : name => queue if !contains(local.dead, name) }

  name                       = local.names[each.key]
  message_retention_seconds  = each.value.retention_days * 86400
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  kms_master_key_id          = var.key_arn
  policy                     = local.policies[each.key]

  # SQS takes no dead-letter queue that is not there yet: so its ARN is that of the resource.
  redrive_policy = each.value.dead_letter == null ? null : jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.value.dead_letter.queue].arn
    maxReceiveCount     = each.value.dead_letter.max_receives
  })
}
