# The global tables of contracts/tables.yaml. The home region's state makes them and every replica; the states of the
# other regions do not know them as resources, for a replica in two states is deleted by one of them.
locals {
  tables = {
    for name, table in yamldecode(file("${path.module}/../../contracts/tables.yaml")).tables :
    name => merge(table, { name = "${local.project}-${name}-${var.environment}" })
  }
}

resource "aws_dynamodb_table" "this" {
  for_each = local.is_home ? local.tables : {}

  name                        = each.value.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  stream_enabled              = true
  stream_view_type            = each.value.stream
  deletion_protection_enabled = local.protect_data

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = local.key_arns[local.home].tables
  }

  dynamic "replica" {
    for_each = local.peers

    content {
      region_name            = local.aws_regions[replica.value]
      kms_key_arn            = local.key_arns[replica.value].tables
      point_in_time_recovery = true
      propagate_tags         = true
    }
  }
}

# A replica has no deletion protection of its own in this provider; its resource policy does what that would. The
# service's own roles are left out, for what denies them ends replication.
resource "aws_dynamodb_resource_policy" "replica" {
  for_each = local.protect_data ? data.aws_dynamodb_table.replica : {}

  resource_arn = each.value.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "ReplicaStays"
      Effect    = "Deny"
      Principal = "*"
      Action    = ["dynamodb:DeleteTable", "dynamodb:DeleteTableReplica"]
      Resource  = each.value.arn
      Condition = {
        ArnNotLike = { "aws:PrincipalArn" = "arn:aws:iam::${var.aws_account_id}:role/aws-service-role/*" }
      }
    }]
  })
}

# Which keys are read, written and throttled most.
resource "aws_dynamodb_contributor_insights" "this" {
  for_each = var.enable_detailed_monitoring ? local.table_facts : {}

  table_name = each.value.name
}

locals {
  table_facts = {
    for name, table in merge(aws_dynamodb_table.this, data.aws_dynamodb_table.replica) : name => {
      name       = table.name
      arn        = table.arn
      stream_arn = table.stream_arn
    }
  }
}
