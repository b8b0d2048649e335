locals {
  # The tables of this region, and the network and keys of all: a function that writes in another region needs its key.
  reads = merge(
    { data = { layer = "100-data-layer", workspace = local.workspace } },
    {
      for name in local.region_names : "network-${name}" => {
        layer     = "000-base-network"
        workspace = "${var.environment}-${name}"
      }
    },
  )

  tables   = data.terraform_remote_state.this["data"].outputs.tables
  packages = try(data.terraform_remote_state.this["data"].outputs.packages_bucket, null)
  network  = data.terraform_remote_state.this["network-${var.region}"].outputs
  key_arns = { for name in local.region_names : name => data.terraform_remote_state.this["network-${name}"].outputs.key_arns }
}
