# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/300-api-layer/terraform.tfstate"
  }
}
