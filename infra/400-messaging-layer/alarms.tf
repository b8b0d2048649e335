# Operators are told of every queue of the contract, those of layer 200 too.
locals {
  dead_letters   = { for name, queue in local.contract.queues : name => queue.dead_letter.queue if can(queue.dead_letter) }
  is_dead_letter = toset(values(local.dead_letters))
  waiting        = { for name, queue in local.contract.queues : name => queue if !contains(local.is_dead_letter, name) }
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  for_each = local.waiting

  alarm_name          = "${local.project}-${each.key}-oldest-message-${local.workspace}"
  alarm_description   = "${each.value.title}: a message waits longer than it should. See what the function it starts logs."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = "${local.project}-${each.key}-${local.workspace}" }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = try(each.value.alarm_age_seconds, 900)
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.operators_topic_arn]
  ok_actions          = [local.operators_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.is_dead_letter

  alarm_name          = "${local.project}-${each.key}-not-empty-${local.workspace}"
  alarm_description   = "${local.contract.queues[each.key].title}: look at what is there, mend the reason, then send it back or delete it."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = "${local.project}-${each.key}-${local.workspace}" }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.operators_topic_arn]
  ok_actions          = [local.operators_topic_arn]
}

# SES reviews an account from 5 % bounces or 0.1 % complaints on, and stops it from twice or five times as many.
resource "aws_cloudwatch_metric_alarm" "reputation" {
  for_each = {
    bounces    = { metric = "Reputation.BounceRate", threshold = 0.05 }
    complaints = { metric = "Reputation.ComplaintRate", threshold = 0.001 }
  }

  alarm_name          = "${local.project}-mail-${each.key}-${local.workspace}"
  alarm_description   = "Too much of the mail from this region leads to ${each.key}: SES may stop it. See who is written to, and why."
  namespace           = "AWS/SES"
  metric_name         = each.value.metric
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "ignore"
  alarm_actions       = [local.operators_topic_arn]
  ok_actions          = [local.operators_topic_arn]
}
