# State of dev, in the account's bucket, which bootstrap makes. Each layer's backend.tf adds its key.
bucket               = "cutlass-tech-terraform-state-111111111111"
region               = "eu-west-2"
workspace_key_prefix = "env"
encrypt              = true
kms_key_id           = "alias/cutlass-tech-terraform-state"
dynamodb_table       = "cutlass-tech-terraform-locks"
use_lockfile         = true
