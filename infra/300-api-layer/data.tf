locals {
  reads = {
    network = { layer = "000-base-network", workspace = local.workspace }
    data    = { layer = "100-data-layer", workspace = local.workspace }
    compute = { layer = "200-compute-layer", workspace = local.workspace }
  }
  key_arns  = data.terraform_remote_state.this["network"].outputs.key_arns
  tables    = data.terraform_remote_state.this["data"].outputs.tables
  functions = data.terraform_remote_state.this["compute"].outputs.functions
  roles     = data.terraform_remote_state.this["compute"].outputs.roles

  contract  = yamldecode(file("${path.module}/../../contracts/openapi.yaml"))
  catalogue = yamldecode(file("${path.module}/../../contracts/plans.yaml"))
}
