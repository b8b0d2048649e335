# The buckets layer 100 makes, by name: those of every region, and the copies that lie in this one.
locals {
  bucket_contract = yamldecode(file("${path.module}/../../contracts/buckets.yaml")).buckets

  bucket_names = {
    for name in keys(local.bucket_contract) : name => {
      for region in local.region_names : region => "${local.project}-${name}-${var.environment}-${region}-${var.aws_account_id}"
    }
  }
  copy_names = {
    for name in keys(local.bucket_contract) :
    name => "${local.project}-${name}-copy-${var.environment}-${local.copied_region}-${var.aws_account_id}"
  }

  # The archive as this region reads it: what it writes itself, then the copies of others'.
  archives = concat(
    [local.bucket_names["archive"][var.region]],
    local.copied_region == var.region ? [] : [local.copy_names["archive"]],
  )

  # A link to another region's file is signed with the right to read it there, for the copy here may be late.
  bucket_statements = {
    for name, function in local.functions : name => [
      for statement in [
        {
          Sid    = "ReadObjects"
          Effect = "Allow"
          Action = ["s3:GetObject"]
          Resource = flatten([
            for bucket in keys(function.buckets) : [
              for found in concat(values(local.bucket_names[bucket]), [local.copy_names[bucket]]) : "arn:aws:s3:::${found}/*"
            ]
          ])
          Condition = {}
        },
        {
          Sid    = "ListObjects"
          Effect = "Allow"
          Action = ["s3:ListBucket"]
          Resource = flatten([
            for bucket in keys(function.buckets) :
            ["arn:aws:s3:::${local.bucket_names[bucket][var.region]}", "arn:aws:s3:::${local.copy_names[bucket]}"]
          ])
          Condition = {}
        },
        {
          Sid    = "WriteObjects"
          Effect = "Allow"
          Action = ["s3:DeleteObject", "s3:PutObject"]
          Resource = [
            for bucket, access in function.buckets : "arn:aws:s3:::${local.bucket_names[bucket][var.region]}/*" if access == "write"
          ]
          Condition = {}
        },
        {
          Sid    = "OpenObjects"
          Effect = "Allow"
          Action = function.athena || contains(values(function.buckets), "write") ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
          Resource = [
            for region in length(function.buckets) > 0 ? local.region_names : [] : local.key_arns[region].objects
          ]
          Condition = { StringLike = { "kms:ViaService" = "s3.*.amazonaws.com" } }
        },
      ] : statement if length(statement.Resource) > 0
    ]
  }
}
