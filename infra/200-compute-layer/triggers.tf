# What starts functions by itself: changes of tables, and the clock. Messages do in layer 400, which has the queues.
locals {
  stream_sources = merge([
    for name, function in local.functions : {
      for source in function.streams : "${name}-${source.table}" => merge({ function = name, filter = null }, source)
    }
  ]...)

  schedules = merge([
    for name, function in local.functions : {
      for schedule in function.schedules : "${name}-${schedule.every_seconds}" => merge({ function = name }, schedule)
    }
  ]...)

  scheduled = { for name, function in local.functions : name => function.schedules[0] if length(function.schedules) > 0 }
}

resource "aws_lambda_event_source_mapping" "stream" {
  for_each = local.stream_sources

  event_source_arn                   = local.tables[each.value.table].stream_arn
  function_name                      = aws_lambda_alias.live[each.value.function].arn
  starting_position                  = "TRIM_HORIZON" # what was written before the function was there is not lost
  batch_size                         = each.value.batch_size
  maximum_batching_window_in_seconds = each.value.window_seconds
  maximum_retry_attempts             = each.value.retries
  bisect_batch_on_function_error     = each.value.bisect
  function_response_types            = ["ReportBatchItemFailures"]

  destination_config {
    on_failure {
      destination_arn = module.queues.queues[each.value.on_failure].arn
    }
  }

  dynamic "filter_criteria" {
    for_each = each.value.filter == null ? [] : [each.value.filter]

    content {
      filter {
        pattern = jsonencode({
          dynamodb = { NewImage = { (filter_criteria.value.has_attribute) = { N = [{ exists = true }] } } }
        })
      }
    }
  }
}

# A scheduled run is tried once more, and not after the next one is due.
resource "aws_lambda_function_event_invoke_config" "scheduled" {
  for_each = local.scheduled

  function_name                = aws_lambda_function.this[each.key].function_name
  qualifier                    = aws_lambda_alias.live[each.key].name
  maximum_retry_attempts       = 1
  maximum_event_age_in_seconds = each.value.every_seconds

  destination_config {
    on_failure {
      destination = module.queues.queues[each.value.on_failure].arn
    }
  }
}

resource "aws_scheduler_schedule_group" "this" {
  name = "${local.project}-${local.workspace}"
}

resource "aws_scheduler_schedule" "this" {
  # checkov:skip=CKV_AWS_297:A schedule holds no data: it starts a function with an empty event
  for_each = local.schedules

  name                = "${local.project}-${each.key}s-${local.workspace}"
  description         = local.functions[each.value.function].title
  group_name          = aws_scheduler_schedule_group.this.name
  schedule_expression = "rate(${each.value.every_seconds / 60} ${each.value.every_seconds == 60 ? "minute" : "minutes"})"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live[each.value.function].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = "{}"

    # It only hands the event over; what the function does with it is counted and tried again by Lambda.
    retry_policy {
      maximum_event_age_in_seconds = each.value.every_seconds
      maximum_retry_attempts       = 5
    }

    dead_letter_config {
      arn = module.queues.queues[each.value.on_failure].arn
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name        = "${local.project}-scheduler-${local.workspace}"
  description = "The scheduler starts functions"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = var.aws_account_id
          "aws:SourceArn"     = "arn:aws:scheduler:${var.aws_region}:${var.aws_account_id}:schedule-group/${local.project}-${local.workspace}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "start"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "StartFunctions"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [for name in keys(local.scheduled) : "${local.arn_base}:${local.functions[name].resource}:${local.alias}"]
      },
      {
        Sid      = "LeaveFailures"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = distinct([for schedule in local.schedules : "${local.queue_arn_base}:${local.queue_names[schedule.on_failure]}"])
      },
      {
        Sid       = "OpenMessages"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [local.key_arns[var.region].messages]
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${var.aws_region}.amazonaws.com" } }
      },
    ]
  })
}
