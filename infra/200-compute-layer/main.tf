# The functions of contracts/functions.yaml. Each has a zip of `cutlass package`, versions, and the alias `live`, which is
# what everything else calls: what it points to is changed, and changed back, in one step.
locals {
  contract = yamldecode(file("${path.module}/../../contracts/functions.yaml"))

  alias    = "live"
  zips     = "${path.module}/../../build/lambda/arm64"
  arn_base = "arn:aws:lambda:${var.aws_region}:${var.aws_account_id}:function"

  functions = {
    for name, function in local.contract.functions : name => merge(
      {
        memory_factor        = 1
        reserved_concurrency = -1 # shared with the others
        tables               = {}
        peer_tables          = {}
        scans                = []
        buckets              = {}
        sends                = []
        ephemeral_mb         = 512
        reads_streams        = []
        streams              = []
        queues               = []
        schedules            = []
        sends                = []
        delays               = false
        mails                = false
        athena               = false
      },
      function,
      {
        resource  = "${local.project}-${name}-${local.workspace}"
        log_group = "/aws/lambda/${local.project}-${name}-${local.workspace}"
        zip       = "${local.zips}/${name}.zip"
      },
    )
  }

  unpacked = [for name, function in local.functions : name if !fileexists(function.zip)]

  # Handlers do not know where they run but by this. AWS_REGION and credentials are Lambda's own.
  function_environment = {
    CUTLASS_ACCOUNT              = var.aws_account_id
    CUTLASS_ARCHIVES             = jsonencode([for bucket in local.archives : "s3://${bucket}"])
    CUTLASS_ENVIRONMENT          = var.environment
    CUTLASS_MAIL_FROM            = local.mail_from
    CUTLASS_REGION               = var.region
    LOG_LEVEL                    = "INFO"
    POWERTOOLS_METRICS_NAMESPACE = "Cutlass"
    POWERTOOLS_SERVICE_NAME      = "cutlass"
  }
}

resource "aws_cloudwatch_log_group" "function" {
  # checkov:skip=CKV_AWS_338:How long logs are kept is set per environment: 7, 14 or 30 days
  for_each = local.functions

  name              = each.value.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = local.key_arns[var.region].logs
}

# Lambda takes a package from a bucket: the provider uploads zips inside a request one after the other, for it has to hold them
# whole (docs/decisions/0030-packages-by-s3.md). A key names its bytes, so a package is never overwritten.
resource "aws_s3_object" "package" {
  # checkov:skip=CKV_AWS_186:The bucket encrypts what is put into it with the region's key
  for_each = local.functions

  bucket = local.packages
  key    = "${each.key}/${try(filesha256(each.value.zip), "missing")}.zip"
  source = each.value.zip

  lifecycle {
    # The package before goes when no function names it any more.
    create_before_destroy = true

    precondition {
      condition     = local.packages != null
      error_message = <<-EOT
        100-data-layer in ${local.workspace} does not tell a bucket of packages yet. In infra/100-data-layer, apply it again:
          terraform workspace select ${local.workspace}
          terraform apply -var-file=vars/${local.workspace}.tfvars
      EOT
    }
  }
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116:What is called asynchronously has a failure destination; the others' callers see the error
  # checkov:skip=CKV_AWS_173:The variables hold names and no secrets; a key would be asked at every cold start
  # checkov:skip=CKV_AWS_272:Zips are built from locked hashes and put here by their own hash; there is no other signer
  for_each = local.functions

  function_name                  = each.value.resource
  description                    = each.value.title
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = "python${local.contract.python}"
  architectures                  = ["arm64"]
  handler                        = each.value.handler
  s3_bucket                      = aws_s3_object.package[each.key].bucket
  s3_key                         = aws_s3_object.package[each.key].key
  source_code_hash               = try(filebase64sha256(each.value.zip), null)
  memory_size                    = var.lambda_memory_size * each.value.memory_factor
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = each.value.reserved_concurrency
  publish                        = true

  vpc_config {
    subnet_ids         = local.network.private_subnet_ids
    security_group_ids = [local.network.functions_security_group_id]
  }

  ephemeral_storage {
    size = each.value.ephemeral_mb
  }

  environment {
    variables = merge(local.function_environment, each.value.athena ? { CUTLASS_ATHENA = local.workgroup } : {})
  }

  tracing_config {
    mode = "Active"
  }

  logging_config {
    log_format = "Text" # the functions write JSON lines by themselves
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # Lambda looks at once whether the role lets it into the network.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_alias" "live" {
  for_each = local.functions

  name             = local.alias
  description      = "What callers, streams and schedules start"
  function_name    = aws_lambda_function.this[each.key].function_name
  function_version = aws_lambda_function.this[each.key].version
}

# Environments of the decision that wait, so that no decision waits for one.
resource "aws_lambda_provisioned_concurrency_config" "decision" {
  for_each = toset(var.decision_provisioned_concurrency > 0 ? ["usage-check"] : [])

  function_name                     = aws_lambda_function.this[each.key].function_name
  qualifier                         = aws_lambda_alias.live[each.key].name
  provisioned_concurrent_executions = var.decision_provisioned_concurrency
}
