# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

run "state" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket == "cutlass-tech-terraform-state-${var.aws_account_id}" && !aws_s3_bucket.state.force_destroy
    error_message = "The state bucket has to be named after the account, as the backend files name it, and to outlive its objects."
  }

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "State has to be versioned."
  }

  assert {
    condition = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default) == {
      kms_master_key_id = aws_kms_key.state.arn
      sse_algorithm     = "aws:kms"
    }
    error_message = "State has to be encrypted with the account's own key."
  }

  assert {
    condition     = aws_kms_alias.state.name == "alias/cutlass-tech-terraform-state"
    error_message = "The backend files name the key by this alias."
  }

  assert {
    condition     = aws_dynamodb_table.locks.name == "cutlass-tech-terraform-locks" && aws_dynamodb_table.locks.hash_key == "LockID"
    error_message = "The backend files name the lock table, and Terraform its key."
  }

  assert {
    condition     = aws_dynamodb_table.locks.deletion_protection_enabled
    error_message = "The lock table has to be protected against deletion."
  }
}
