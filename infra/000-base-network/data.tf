locals {
  reads = {}
}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:Subnets keep the zone they were made in, whatever this lists later
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) >= length(var.private_subnet_cidrs)
      error_message = "${var.aws_region} offers this account ${length(self.names)} availability zones, and the subnets need ${length(var.private_subnet_cidrs)}. Ask AWS for access to more, or choose another region."
    }
  }
}
