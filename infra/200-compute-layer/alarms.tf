# Where detailed monitoring is on. Layer 400 watches the queues, those of this layer too.
locals {
  watched         = { for name, function in local.functions : name => function if var.enable_detailed_monitoring }
  watched_streams = { for name, function in local.watched : name => function if length(function.streams) > 0 }
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
  alarm_actions       = [local.operators_topic_arn]
  ok_actions          = [local.operators_topic_arn]

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
  alarm_actions       = [local.operators_topic_arn]
  ok_actions          = [local.operators_topic_arn]
}
