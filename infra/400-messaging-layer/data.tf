locals {
  reads = {
    network = { layer = "000-base-network", workspace = local.workspace }
    compute = { layer = "200-compute-layer", workspace = local.workspace }
  }

  key_arn        = data.terraform_remote_state.this["network"].outputs.key_arns.messages
  functions      = data.terraform_remote_state.this["compute"].outputs.functions
  compute_queues = data.terraform_remote_state.this["compute"].outputs.queues
}
