# Where detailed monitoring is on. The topic for operators is made in layer 400, later than these: it follows every alarm
# of this account whose name begins with the project's, so none is named here.
locals {
  watched         = { for name, function in local.functions : name => function if var.enable_detailed_monitoring }
  watched_streams = { for name, function in local.watched : name => function if length(function.streams) > 0 }

  # A message in a queue that no function takes from waits for a person.
  taken          = flatten([for function in local.functions : [for source in function.queues : source.queue]])
  watched_queues = { for name, queue in local.queues : name => queue if var.enable_detailed_monitoring && !contains(local.taken, name) }
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.watched

  alarm_name          = "${local.project}-${each.key}-failures-${local.workspace}"
  alarm_description   = "${each.value.title}: runs failed, or were turned away for lack of concurrency. Look into ${each.value.log_group}."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "failures"
    label       = "errors and throttles"
    expression  = "errors + throttles"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = ["Errors", "Throttles"]

    content {
      id = lower(metric_query.value)

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = each.value.resource }
        period      = 60
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "stream_age" {
  for_each = local.watched_streams

  alarm_name          = "${local.project}-${each.key}-stream-age-${local.workspace}"
  alarm_description   = "${each.value.title}: it is five minutes behind its stream, which keeps records for a day."
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = each.value.resource }
  statistic           = "Maximum"
  period              = 60
  comparison_operator = "GreaterThanThreshold"
  threshold           = 300000
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "left" {
  for_each = local.watched_queues

  alarm_name          = "${local.project}-${each.key}-${local.workspace}"
  alarm_description   = "${each.value.title}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = local.queue_names[each.key] }
  statistic           = "Maximum"
  period              = 300
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
}
