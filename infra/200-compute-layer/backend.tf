# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/200-compute-layer/terraform.tfstate"
  }
}
