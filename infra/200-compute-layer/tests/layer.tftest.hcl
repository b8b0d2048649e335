# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = {
      workspace                   = "applied"
      private_subnet_ids          = ["subnet-a", "subnet-b"]
      functions_security_group_id = "sg-functions"
      key_arns = {
        tables   = "arn:aws:kms:us-east-1:111111111111:key/tables"
        messages = "arn:aws:kms:us-east-1:111111111111:key/messages"
        logs     = "arn:aws:kms:us-east-1:111111111111:key/logs"
        objects  = "arn:aws:kms:us-east-1:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["network-london"]
  values = {
    outputs = {
      workspace                   = "applied"
      private_subnet_ids          = ["subnet-a", "subnet-b"]
      functions_security_group_id = "sg-functions"
      key_arns = {
        tables   = "arn:aws:kms:eu-west-2:111111111111:key/tables"
        messages = "arn:aws:kms:eu-west-2:111111111111:key/messages"
        logs     = "arn:aws:kms:eu-west-2:111111111111:key/logs"
        objects  = "arn:aws:kms:eu-west-2:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["network-sydney"]
  values = {
    outputs = {
      workspace                   = "applied"
      private_subnet_ids          = ["subnet-a", "subnet-b"]
      functions_security_group_id = "sg-functions"
      key_arns = {
        tables   = "arn:aws:kms:ap-southeast-2:111111111111:key/tables"
        messages = "arn:aws:kms:ap-southeast-2:111111111111:key/messages"
        logs     = "arn:aws:kms:ap-southeast-2:111111111111:key/logs"
        objects  = "arn:aws:kms:ap-southeast-2:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["data"]
  values = {
    outputs = {
      workspace       = "applied"
      packages_bucket = "packages-of-the-data-layer"
      tables = {
        usage-credits = { name = "cutlass-tech-usage-credits-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-usage-credits-test/stream/1" }
        organisations = { name = "cutlass-tech-organisations-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-organisations-test/stream/1" }
        ledger        = { name = "cutlass-tech-ledger-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-ledger-test/stream/1" }
        reports       = { name = "cutlass-tech-reports-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-reports-test/stream/1" }
        usage         = { name = "cutlass-tech-usage-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-usage-test/stream/1" }
        alerts        = { name = "cutlass-tech-alerts-test", stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-alerts-test/stream/1" }
      }
    }
  }
}

run "functions" {
  command = plan

  assert {
    condition     = sort(keys(aws_lambda_function.this)) == sort(keys(local.contract.functions))
    error_message = "Every function of the contract is made, and no other."
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this :
      function.function_name == "cutlass-tech-${name}-${var.environment}-${var.region}"
    ])
    error_message = "Functions are named after the contract and the workspace."
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this : alltrue([
        function.architectures == tolist(["arm64"]),
        function.publish,
        function.tracing_config[0].mode == "Active",
        toset(function.vpc_config[0].subnet_ids) == toset(["subnet-a", "subnet-b"]),
        function.logging_config[0].log_group == "/aws/lambda/${function.function_name}",
        function.runtime == "python${local.contract.python}",
      ])
    ])
    error_message = "Functions are arm64, have versions and traces, run in the private subnets and write to their own log group."
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this : alltrue([
        function.filename == null,
        function.s3_bucket == "packages-of-the-data-layer",
        function.s3_key == "${name}/${filesha256(local.functions[name].zip)}.zip",
        function.source_code_hash == filebase64sha256(local.functions[name].zip),
      ])
    ])
    error_message = "A function takes its package from the bucket of the data layer, by a key that names its bytes."
  }

  assert {
    condition     = aws_lambda_function.this["usage-check"].memory_size == { dev = 256, staging = 512, prod = 1024 }[var.environment]
    error_message = "The decision has 256 MB in dev, 512 in staging, 1024 in prod."
  }

  assert {
    condition     = aws_lambda_function.this["reconcile"].memory_size == 2 * aws_lambda_function.this["usage-check"].memory_size
    error_message = "A memory factor of the contract multiplies the environment's memory."
  }

  assert {
    condition = alltrue([
      for group in aws_cloudwatch_log_group.function :
      group.retention_in_days == { dev = 7, staging = 14, prod = 30 }[var.environment] && group.kms_key_id == local.key_arns[var.region].logs
    ])
    error_message = "Logs are kept 7, 14 or 30 days, encrypted with the region's key."
  }

  assert {
    condition = alltrue([
      for name, function in aws_lambda_function.this :
      contains(keys(function.environment[0].variables), "CUTLASS_ATHENA") == local.functions[name].athena
    ])
    error_message = "Only a function that asks Athena is told whom to ask."
  }

  assert {
    condition     = alltrue([for alias in aws_lambda_alias.live : alias.name == "live"])
    error_message = "Every function has the alias that callers use."
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.decision) == 0
    error_message = "No environment is kept waiting unless it is asked for."
  }

  assert {
    condition     = toset(keys(output.queues)) == toset(["schedule-failures", "stream-failures", "stream-failures-dead"])
    error_message = "This layer has the queues that streams and schedules fail into."
  }

  assert {
    condition     = toset(keys(output.functions["usage-check"])) == toset(["name", "arn", "alias", "alias_arn", "invoke_arn"])
    error_message = "Later layers find a function by its alias."
  }
}

run "provisioned" {
  command = plan

  variables {
    decision_provisioned_concurrency = 3
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.decision["usage-check"].provisioned_concurrent_executions == 3
    error_message = "The variable keeps environments of the decision waiting."
  }
}
