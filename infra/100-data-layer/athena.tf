# The archive as tables: where a report would read more than contracts/archive.yaml says, Athena reads it where it lies. Its
# partitions follow from the keys of objects, so nothing is ever registered.
locals {
  archive = yamldecode(file("${path.module}/../../contracts/archive.yaml"))

  # The archive as this region reads it: what it writes itself, and the copy here of another region's. A table is called as
  # its bucket, and the database as the workgroup, but neither takes hyphens.
  archives = toset(concat(
    [local.bucket_names["archive"]],
    local.copied_region == var.region ? [] : [
      "${local.project}-archive-copy-${var.environment}-${local.copied_region}-${var.aws_account_id}"
    ],
  ))
  workgroup = "${local.project}-reports-${local.workspace}"

  glue_types = { BIGINT = "bigint", BOOLEAN = "boolean", INTEGER = "int", VARCHAR = "string" }
  parquet    = "org.apache.hadoop.hive.ql.io.parquet"
}

resource "aws_glue_catalog_database" "archive" {
  name        = replace(local.workgroup, "-", "_")
  description = "The archive of ${local.workspace}, as reports read it"
}

resource "aws_glue_catalog_table" "archive" {
  for_each = local.archives

  name          = replace(each.key, "-", "_")
  database_name = aws_glue_catalog_database.archive.name
  description   = "Every ledger entry, a row per pool it touched"
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL                         = "TRUE"
    classification                   = "parquet"
    "projection.enabled"             = "true"
    "projection.org.type"            = "injected" # a query names the one organisation it is about
    "projection.month.type"          = "date"
    "projection.month.format"        = "yyyy-MM"
    "projection.month.range"         = "2024-01,NOW+1MONTHS"
    "projection.month.interval"      = "1"
    "projection.month.interval.unit" = "MONTHS"
    "storage.location.template"      = "s3://${each.key}/${local.buckets.archive.copy_prefix}org=$${org}/month=$${month}/"
  }

  partition_keys {
    name = "org"
    type = "string"
  }

  partition_keys {
    name = "month"
    type = "string"
  }

  storage_descriptor {
    location      = "s3://${each.key}/${local.buckets.archive.copy_prefix}"
    input_format  = "${local.parquet}.MapredParquetInputFormat"
    output_format = "${local.parquet}.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "${local.parquet}.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = local.archive.columns

      content {
        name    = columns.value.name
        type    = local.glue_types[columns.value.type]
        comment = columns.value.about
      }
    }
  }
}

# Who asks has no say in where answers go, how they are encrypted and how much a query may read.
resource "aws_athena_workgroup" "reports" {
  name          = local.workgroup
  description   = "Reports of much of the archive"
  force_destroy = !local.protect_data

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = local.archive.athena.most_gigabytes * 1024 * 1024 * 1024

    result_configuration {
      output_location       = "s3://${local.bucket_names["archive"]}/${local.buckets.archive.scratch_prefix}"
      expected_bucket_owner = var.aws_account_id

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = local.key_arns[var.region].objects
      }
    }
  }
}
