# The queues that streams and schedules fail into, and those behind them. All others belong to layer 400.
locals {
  queue_names    = { for name in keys(local.contract.queues) : name => "${local.project}-${name}-${local.workspace}" }
  queue_arn_base = "arn:aws:sqs:${var.aws_region}:${var.aws_account_id}"

  failure_queues = toset(flatten([
    for function in local.functions : [for source in concat(function.streams, function.schedules) : source.on_failure]
  ]))
  own_queues = setunion(local.failure_queues, toset(compact([
    for name in local.failure_queues : try(local.contract.queues[name].dead_letter.queue, "")
  ])))

  queues = {
    for name, queue in local.contract.queues : name => merge(
      { visibility_timeout_seconds = 30, dead_letter = null },
      queue,
      {
        # Which queues leave their messages here.
        sources = [for source, facts in local.contract.queues : source if try(facts.dead_letter.queue, "") == name]
      },
    ) if contains(local.own_queues, name)
  }
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                              = local.queue_names[each.key]
  message_retention_seconds         = each.value.retention_days * 86400
  visibility_timeout_seconds        = each.value.visibility_timeout_seconds
  kms_master_key_id                 = local.key_arns[var.region].messages
  kms_data_key_reuse_period_seconds = 300

  redrive_policy = each.value.dead_letter == null ? null : jsonencode({
    deadLetterTargetArn = "${local.queue_arn_base}:${local.queue_names[each.value.dead_letter.queue]}"
    maxReceiveCount     = each.value.dead_letter.max_receives
  })

  redrive_allow_policy = length(each.value.sources) == 0 ? jsonencode({ redrivePermission = "denyAll" }) : jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [for source in each.value.sources : "${local.queue_arn_base}:${local.queue_names[source]}"]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.this[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.this[each.key].arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
