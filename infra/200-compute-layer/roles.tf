# One role per function, from `tables`, `streams` and `queues` of the contract.
locals {
  # The tables of every region, by region and name. They have the same names everywhere, being replicas of one another.
  table_arns = {
    for region in local.region_names : region => {
      for name, table in local.tables :
      name => "arn:aws:dynamodb:${local.aws_regions[region]}:${var.aws_account_id}:table/${table.name}"
    }
  }

  # What a function may do in which region: its own, or one of the others.
  access = {
    for name, function in local.functions : name => {
      for region in local.region_names : region => region == var.region ? function.tables : function.peer_tables
    }
  }

  read_actions  = ["dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"]
  write_actions = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]

  # IAM has no ARN for traces, and Lambda asks for the right to every network interface when it puts a function into a
  # network. The function's own code gets none of that: see NoNetworkForCode.
  network_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]

  own_statements = {
    for name, function in local.functions : name => [
      {
        Sid      = "WriteOwnLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:aws:logs:${var.aws_region}:${var.aws_account_id}:log-group:${function.log_group}:*"
      },
      {
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = "*"
      },
      {
        Sid      = "JoinNetwork"
        Effect   = "Allow"
        Action   = local.network_actions
        Resource = "*"
      },
      {
        Sid       = "NoNetworkForCode"
        Effect    = "Deny"
        Action    = local.network_actions
        Resource  = "*"
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = "${local.arn_base}:${function.resource}" } }
      },
    ]
  }

  # Every key begins with the region that owns the item. So a role writes, in each region, only what is that region's own:
  # its own items at home, and an owner's at the owner's.
  table_statements = {
    for name, function in local.functions : name => flatten([
      for region, tables in local.access[name] : [
        for statement in [
          {
            Sid       = "Read${title(region)}"
            Effect    = "Allow"
            Action    = local.read_actions
            Resource  = [for table in keys(tables) : local.table_arns[region][table]]
            Condition = {}
          },
          {
            Sid      = "Write${title(region)}"
            Effect   = "Allow"
            Action   = local.write_actions
            Resource = [for table, access in tables : local.table_arns[region][table] if access == "write"]
            Condition = {
              "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["${region}#*"] }
              Null                      = { "dynamodb:LeadingKeys" = "false" }
            }
          },
          {
            # Who may change organisations may not change whose tokens are accepted; layer 300 does.
            Sid       = "KeepIssuers${title(region)}"
            Effect    = "Deny"
            Action    = local.write_actions
            Resource  = [for table, access in tables : local.table_arns[region][table] if access == "write" && table == "organisations"]
            Condition = { "ForAnyValue:StringLike" = { "dynamodb:LeadingKeys" = ["*#issuer"] } }
          },
          {
            Sid       = "Scan${title(region)}"
            Effect    = "Allow"
            Action    = ["dynamodb:Scan"]
            Resource  = [for table in region == var.region ? function.scans : [] : local.table_arns[region][table]]
            Condition = {}
          },
          {
            Sid       = "Decrypt${title(region)}"
            Effect    = "Allow"
            Action    = contains(values(tables), "write") ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
            Resource  = [for arn in length(tables) > 0 ? [local.key_arns[region].tables] : [] : arn]
            Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.aws_regions[region]}.amazonaws.com" } }
          },
        ] : statement if length(statement.Resource) > 0
      ]
    ])
  }

  event_statements = {
    for name, function in local.functions : name => [
      for statement in [
        {
          Sid    = "FollowStreams"
          Effect = "Allow"
          Action = [
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
          ]
          Resource  = [for stream in function.streams : local.tables[stream.table].stream_arn]
          Condition = {}
        },
        {
          Sid       = "ReadStreams"
          Effect    = "Allow"
          Action    = ["dynamodb:GetRecords", "dynamodb:GetShardIterator"]
          Resource  = [for table in function.reads_streams : local.tables[table].stream_arn]
          Condition = {}
        },
        {
          Sid       = "TakeMessages"
          Effect    = "Allow"
          Action    = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
          Resource  = [for source in function.queues : "${local.queue_arn_base}:${local.queue_names[source.queue]}"]
          Condition = {}
        },
        {
          Sid    = "DelayMessages"
          Effect = "Allow"
          Action = ["sqs:ChangeMessageVisibility", "sqs:GetQueueUrl"]
          Resource = [
            for source in function.delays ? function.queues : [] : "${local.queue_arn_base}:${local.queue_names[source.queue]}"
          ]
          Condition = {}
        },
        {
          Sid       = "SendMessages"
          Effect    = "Allow"
          Action    = ["sqs:GetQueueUrl", "sqs:SendMessage"]
          Resource  = [for queue in function.sends : "${local.queue_arn_base}:${local.queue_names[queue]}"]
          Condition = {}
        },
        {
          # One sender, by the templates of the contract. SES asks for the right to each of the three kinds of resources.
          Sid       = "SendMail"
          Effect    = "Allow"
          Action    = ["ses:SendEmail", "ses:SendTemplatedEmail"]
          Resource  = [for arn in function.mails ? local.mail_arns : [] : arn]
          Condition = { StringEquals = { "ses:FromAddress" = local.mail_from } }
        },
        {
          Sid    = "LeaveFailures"
          Effect = "Allow"
          Action = ["sqs:SendMessage"]
          Resource = distinct([
            for source in concat(function.streams, function.schedules) :
            "${local.queue_arn_base}:${local.queue_names[source.on_failure]}"
          ])
          Condition = {}
        },
        {
          Sid    = "OpenMessages"
          Effect = "Allow"
          Action = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = [
            for arn in length(concat(function.queues, function.streams, function.schedules, function.sends)) > 0 ? [local.key_arns[var.region].messages] : [] : arn
          ]
          Condition = { StringEquals = { "kms:ViaService" = "sqs.${var.aws_region}.amazonaws.com" } }
        },
      ] : statement if length(statement.Resource) > 0
    ]
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = each.value.resource
  description = each.value.title

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  # checkov:skip=CKV_AWS_290:What is allowed on * has no ARN, or Lambda asks for it on *; the code is denied it
  # checkov:skip=CKV_AWS_355:What is allowed on * has no ARN, or Lambda asks for it on *; the code is denied it
  for_each = local.functions

  name = "function"
  role = aws_iam_role.function[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.own_statements[each.key],
      [
        for statement in concat(
          local.table_statements[each.key],
          local.event_statements[each.key],
          local.bucket_statements[each.key],
          local.athena_statements[each.key],
        ) :
        { for key, value in statement : key => value if key != "Condition" || length(value) > 0 }
      ],
    )
  })
}
