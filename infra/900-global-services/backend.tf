# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/900-global-services/terraform.tfstate"
  }
}
