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
}

module "queues" {
  source = "../modules/queues"

  queues    = { for name, queue in local.contract.queues : name => queue if contains(local.own_queues, name) }
  prefix    = local.project
  workspace = local.workspace
  arn_base  = local.queue_arn_base
  key_arn   = local.key_arns[var.region].messages
}
