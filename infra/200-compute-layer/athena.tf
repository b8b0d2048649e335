# What layer 100 makes for Athena, by name. Athena finds the tables, reads the archive and keeps answers with the rights of
# who asks it, so these are the function's own; but what it does not need by itself it has through Athena only.
locals {
  workgroup = "${local.project}-reports-${local.workspace}"
  catalogue = replace(local.workgroup, "-", "_")
  glue_base = "arn:aws:glue:${var.aws_region}:${var.aws_account_id}"

  answers        = "arn:aws:s3:::${local.bucket_names["archive"][var.region]}/${local.bucket_contract.archive.scratch_prefix}"
  through_athena = { "ForAnyValue:StringEquals" = { "aws:CalledVia" = ["athena.amazonaws.com"] } }

  athena_statements = {
    for name, function in local.functions : name => [
      for statement in [
        {
          Sid    = "AskAthena"
          Effect = "Allow"
          Action = [
            "athena:GetQueryExecution",
            "athena:GetQueryResults",
            "athena:StartQueryExecution",
            "athena:StopQueryExecution",
          ]
          Resource  = ["arn:aws:athena:${var.aws_region}:${var.aws_account_id}:workgroup/${local.workgroup}"]
          Condition = {}
        },
        {
          # Athena asks for the database `default` too, whatever database a query is about.
          Sid    = "FindTables"
          Effect = "Allow"
          Action = ["glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable"]
          Resource = concat(
            ["${local.glue_base}:catalog", "${local.glue_base}:database/default", "${local.glue_base}:database/${local.catalogue}"],
            [for archive in local.archives : "${local.glue_base}:table/${local.catalogue}/${replace(archive, "-", "_")}"],
          )
          Condition = local.through_athena
        },
        {
          Sid       = "PlaceAnswers"
          Effect    = "Allow"
          Action    = ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
          Resource  = [for archive in local.archives : "arn:aws:s3:::${archive}"]
          Condition = local.through_athena
        },
        {
          Sid       = "KeepAnswers"
          Effect    = "Allow"
          Action    = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
          Resource  = ["${local.answers}*"]
          Condition = local.through_athena
        },
      ] : statement if function.athena
    ]
  }
}
