# The ways to AWS that do not lead through the NAT gateway. Tables and buckets cost nothing this way. SQS is the only
# service functions call besides them for every customer's event; logs, traces and triggers are Lambda's own traffic, and
# mail, webhooks and questions to Athena are rare enough for the gateway. The catalogue and the archive Athena asks by itself.
locals {
  gateway_endpoints = {
    dynamodb = {
      Effect    = "Allow"
      Principal = "*"
      Action = [
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:DescribeTable",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
      ]
      Resource = "arn:aws:dynamodb:${var.aws_region}:${var.aws_account_id}:table/${local.project}-*"
    }
    s3 = {
      Effect    = "Allow"
      Principal = "*"
      Action    = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]
      Resource  = ["arn:aws:s3:::${local.project}-*", "arn:aws:s3:::${local.project}-*/*"]
    }
  }
  interface_endpoints = {
    sqs = {
      Effect    = "Allow"
      Principal = "*"
      Action    = ["sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"]
      Resource  = "arn:aws:sqs:${var.aws_region}:${var.aws_account_id}:${local.project}-*"
    }
  }
  # Only this account's credentials pass: an endpoint open to others would be a way out for data.
  own_account = { StringEquals = { "aws:PrincipalAccount" = var.aws_account_id } }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_endpoints

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.aws_region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(each.value, { Sid = "OwnResources", Condition = local.own_account })]
  })

  tags = { Name = "${local.project}-${each.key}-${local.workspace}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${var.aws_region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(each.value, { Sid = "OwnResources", Condition = local.own_account })]
  })

  tags = { Name = "${local.project}-${each.key}-${local.workspace}" }
}
