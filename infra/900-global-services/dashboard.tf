# All regions on one page: what is asked, how it is answered, what lags behind. A row per region, of the same parts.
locals {
  queue_names = { for name in local.region_names : name => [for queue in values(local.messaging[name].queues) : queue.name] }

  # Title, unit of the left axis, metrics.
  rows = {
    for name in local.region_names : name => [
      {
        title = "requests and errors"
        metrics = [
          for metric in ["Count", "4XXError", "5XXError"] :
          ["AWS/ApiGateway", metric, "ApiName", "${local.project}-api-${var.environment}-${name}", "Stage", var.api_gateway_stage, { stat = "Sum" }]
        ]
      },
      {
        title = "latency of a decision"
        metrics = [
          for stat in ["p50", "p99"] :
          ["AWS/Lambda", "Duration", "FunctionName", "${local.project}-usage-check-${var.environment}-${name}", { stat = stat, label = stat }]
        ]
      },
      {
        title = "replication to the other regions"
        metrics = [
          for peer in local.region_names :
          ["AWS/DynamoDB", "ReplicationLatency", "TableName", "${local.project}-usage-credits-${var.environment}", "ReceivingRegion", local.aws_regions[peer], { stat = "Average", label = peer }]
          if peer != name
        ]
      },
      {
        title   = "oldest message of each queue"
        metrics = [for queue in local.queue_names[name] : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, { stat = "Maximum", label = queue }]]
      },
    ]
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${local.project}-${var.environment}"

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "metric", x = 0, y = 0, width = 24, height = 4
        properties = {
          title   = "health as DNS sees it"
          region  = "us-east-1"
          view    = "timeSeries"
          metrics = [for name, check in local.health_checks : ["AWS/Route53", "HealthCheckStatus", "HealthCheckId", check.id, { stat = "Minimum", label = name }]]
        }
      }],
      flatten([
        for row, name in local.region_names : [
          for column, part in local.rows[name] : {
            type = "metric", x = column * 6, y = 4 + row * 6, width = 6, height = 6
            properties = {
              title   = "${name}: ${part.title}"
              region  = local.aws_regions[name]
              view    = "timeSeries"
              metrics = part.metrics
            }
          }
        ]
      ]),
    )
  })
}
