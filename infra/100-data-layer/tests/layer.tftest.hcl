# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

mock_provider "aws" {
  alias           = "copy"
  source          = "../shared/mocks"
  override_during = plan
}

override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = {
      workspace = "applied"
      key_arns = {
        tables  = "arn:aws:kms:us-east-1:111111111111:key/tables"
        objects = "arn:aws:kms:us-east-1:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["network-london"]
  values = {
    outputs = {
      workspace = "applied"
      key_arns = {
        tables  = "arn:aws:kms:eu-west-2:111111111111:key/tables"
        objects = "arn:aws:kms:eu-west-2:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["network-sydney"]
  values = {
    outputs = {
      workspace = "applied"
      key_arns = {
        tables  = "arn:aws:kms:ap-southeast-2:111111111111:key/tables"
        objects = "arn:aws:kms:ap-southeast-2:111111111111:key/objects"
      }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["home"]
  values = {
    outputs = {
      workspace = "applied"
      tables = {
        usage-credits = { name = "cutlass-tech-usage-credits-of-home" }
        organisations = { name = "cutlass-tech-organisations-of-home" }
        ledger        = { name = "cutlass-tech-ledger-of-home" }
        reports       = { name = "cutlass-tech-reports-of-home" }
        usage         = { name = "cutlass-tech-usage-of-home" }
        alerts        = { name = "cutlass-tech-alerts-of-home" }
      }
    }
  }
}

run "tables_and_buckets" {
  command = plan

  assert {
    condition     = length(aws_dynamodb_table.this) == (var.region == "london" ? length(local.tables) : 0)
    error_message = "London makes the tables of the contract, and no other region makes any."
  }

  assert {
    condition     = alltrue([for name, table in aws_dynamodb_table.this : table.name == "cutlass-tech-${name}-${var.environment}"])
    error_message = "Tables are named after the contract and the environment, with no region in the name."
  }

  assert {
    condition = alltrue([
      for table in aws_dynamodb_table.this :
      { for replica in table.replica : replica.region_name => replica.kms_key_arn }["ap-southeast-2"] == "arn:aws:kms:ap-southeast-2:111111111111:key/tables"
    ])
    error_message = "Sydney's replica has to be encrypted with Sydney's own key."
  }

  assert {
    condition     = alltrue(flatten([for table in aws_dynamodb_table.this : [for replica in table.replica : replica.point_in_time_recovery]]))
    error_message = "Every replica has point-in-time recovery of its own."
  }

  assert {
    condition = alltrue([
      for table in aws_dynamodb_table.this : alltrue([
        table.billing_mode == "PAY_PER_REQUEST",
        table.stream_view_type == "NEW_AND_OLD_IMAGES",
        table.ttl[0].enabled && table.ttl[0].attribute_name == "ttl",
        table.point_in_time_recovery[0].enabled,
        table.server_side_encryption[0].kms_key_arn == "arn:aws:kms:eu-west-2:111111111111:key/tables",
      ])
    ])
    error_message = "Tables are on demand, stream both images, expire items, can be restored, and are encrypted with London's key."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled == (var.environment != "dev")])
    error_message = "Outside dev tables are protected against deletion."
  }

  assert {
    condition     = length(aws_dynamodb_resource_policy.replica) == (var.region != "london" && var.environment != "dev" ? length(local.tables) : 0)
    error_message = "Outside dev replicas are protected against deletion, by the state of their own region."
  }

  assert {
    condition     = sort(keys(output.tables)) == sort(keys(local.tables))
    error_message = "Every region tells later layers all tables."
  }

  assert {
    condition     = local.copy_region != var.region
    error_message = "The copy of a bucket has to be in another region."
  }

  assert {
    condition     = local.bucket_names["reports"] == "cutlass-tech-reports-${terraform.workspace}-${var.aws_account_id}"
    error_message = "Buckets are named after the workspace and the account."
  }

  assert {
    condition     = output.packages_bucket != "" && !contains(values(local.bucket_names), output.packages_bucket)
    error_message = "Packages are in a bucket of their own."
  }

  assert {
    condition     = sort([for column in one(aws_glue_catalog_table.archive[local.bucket_names["archive"]].storage_descriptor).columns : column.name]) == sort([for column in local.archive.columns : column.name])
    error_message = "The archive's table has the columns of the contract."
  }

  assert {
    condition     = aws_athena_workgroup.reports.name == "cutlass-tech-reports-${terraform.workspace}" && one(aws_athena_workgroup.reports.configuration).enforce_workgroup_configuration
    error_message = "Who asks Athena has no say in where answers go and how they are encrypted."
  }

  assert {
    condition = alltrue([
      for replication in aws_s3_bucket_replication_configuration.this :
      one(one(one(replication.rule).destination).encryption_configuration).replica_kms_key_id == local.key_arns[local.copy_region].objects
    ])
    error_message = "Copies have to be encrypted with the key of the region they are in."
  }
}
