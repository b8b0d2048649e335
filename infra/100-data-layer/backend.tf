# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/100-data-layer/terraform.tfstate"
  }
}
