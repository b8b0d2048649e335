locals {
  # Both layers of every region: applied once per environment, after all of its regions.
  reads = merge([
    for name in local.region_names : {
      "api-${name}"       = { layer = "300-api-layer", workspace = "${var.environment}-${name}" }
      "messaging-${name}" = { layer = "400-messaging-layer", workspace = "${var.environment}-${name}" }
    }
  ]...)

  apis      = { for name in local.region_names : name => data.terraform_remote_state.this["api-${name}"].outputs }
  messaging = { for name in local.region_names : name => data.terraform_remote_state.this["messaging-${name}"].outputs }
}
