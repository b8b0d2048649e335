# The queues of contracts/functions.yaml, but those that streams and schedules fail into: these are in 200, with what fails.
locals {
  contract = yamldecode(file("${path.module}/../../contracts/functions.yaml"))
  queues   = { for name, queue in local.contract.queues : name => queue if !contains(keys(local.compute_queues), name) }
}

module "queues" {
  source = "../modules/queues"

  queues     = local.queues
  prefix     = local.project
  workspace  = local.workspace
  arn_base   = "arn:aws:sqs:${var.aws_region}:${var.aws_account_id}"
  key_arn    = local.key_arn
  topic_arns = { mail-events = aws_sns_topic.mail_events.arn }
}

# What a queue starts. The roles of functions, in 200, allow them to receive.
locals {
  sources = merge([
    for name, function in local.contract.functions : {
      for source in try(function.queues, []) : "${name}-on-${source.queue}" => merge(source, { function = name })
    }
  ]...)

  queue_arns = { for name, queue in merge(local.compute_queues, module.queues.queues) : name => queue.arn }
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = local.sources

  event_source_arn                   = local.queue_arns[each.value.queue]
  function_name                      = try(local.functions[each.value.function].alias_arn, "")
  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  dynamic "scaling_config" {
    for_each = try(each.value.max_concurrency, null)[*]

    content {
      maximum_concurrency = scaling_config.value
    }
  }

  lifecycle {
    precondition {
      condition     = contains(keys(local.functions), each.value.function)
      error_message = <<-EOT
        contracts/functions.yaml starts ${each.value.function} by the queue ${each.value.queue}, and 200-compute-layer in
        ${local.workspace} does not know it yet. In infra/200-compute-layer, apply it again:
          terraform workspace select ${local.workspace}
          terraform apply -var-file=vars/${local.workspace}.tfvars
      EOT
    }
  }
}
