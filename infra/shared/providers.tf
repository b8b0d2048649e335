provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = local.tags
  }
}

# Where the state bucket is, and the global tables are made.
provider "aws" {
  alias               = "home"
  region              = local.aws_regions[local.home]
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = local.tags
  }
}
