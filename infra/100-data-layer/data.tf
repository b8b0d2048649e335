locals {
  # The keys of all regions: of this one's data, of the replicas, and of the copies of buckets. And outside the home
  # region, this layer there: it makes the tables of all.
  reads = merge(
    {
      for name in local.region_names : "network-${name}" => {
        layer     = "000-base-network"
        workspace = "${var.environment}-${name}"
      }
    },
    local.is_home ? {} : { home = { layer = "100-data-layer", workspace = "${var.environment}-${local.home}" } },
  )
  key_arns = { for name in local.region_names : name => data.terraform_remote_state.this["network-${name}"].outputs.key_arns }
}

# Outside the home region the tables are replicas that the home region's state made: read, never managed here.
data "aws_dynamodb_table" "replica" {
  for_each = local.is_home ? {} : local.tables

  name = data.terraform_remote_state.this["home"].outputs.tables[each.key].name

  lifecycle {
    postcondition {
      condition     = self.stream_enabled && self.stream_arn != ""
      error_message = "${self.name} has no stream in ${var.aws_region}. Apply ${local.layer} in ${var.environment}-${local.home} again, and look at the table's replicas with `aws dynamodb describe-table --table-name ${self.name}`."
    }
  }
}
