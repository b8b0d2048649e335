# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/000-base-network/terraform.tfstate"
  }
}
