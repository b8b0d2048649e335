# The rest is in backend-config-{environment}.hcl.
terraform {
  backend "s3" {
    key = "layers/400-messaging-layer/terraform.tfstate"
  }
}
