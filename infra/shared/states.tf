# The states this layer reads: those in `local.reads` of its data.tf. What is missing ends the plan with the command that
# makes it.

# Listed first, for reading a state that is not there says no more than that. The list holds its lock file too.
data "aws_s3_objects" "state" {
  provider = aws.home
  for_each = local.reads

  bucket = local.state_bucket
  prefix = "env/${each.value.workspace}/layers/${each.value.layer}/terraform.tfstate"
}

data "terraform_remote_state" "this" {
  for_each = local.reads

  backend   = "s3"
  workspace = each.value.workspace

  config = {
    bucket               = local.state_bucket
    key                  = "layers/${each.value.layer}/terraform.tfstate"
    region               = local.aws_regions[local.home]
    workspace_key_prefix = "env"
  }

  lifecycle {
    precondition {
      condition     = anytrue([for key in data.aws_s3_objects.state[each.key].keys : endswith(key, "terraform.tfstate")])
      error_message = <<-EOT
        ${local.workspace} of ${local.layer} needs ${each.value.layer} in ${each.value.workspace}, which has never been
        applied. Layers go in number order, and of the data layer ${local.home} goes first. In infra/${each.value.layer}:
          terraform workspace select -or-create ${each.value.workspace}
          terraform apply -var-file=vars/${each.value.workspace}.tfvars
      EOT
    }

    postcondition {
      condition     = try(self.outputs.workspace, null) != null
      error_message = <<-EOT
        ${each.value.layer} in ${each.value.workspace} is destroyed or was applied in part only: its state tells no
        outputs. In infra/${each.value.layer}, apply it again:
          terraform workspace select ${each.value.workspace}
          terraform apply -var-file=vars/${each.value.workspace}.tfvars
      EOT
    }
  }
}
