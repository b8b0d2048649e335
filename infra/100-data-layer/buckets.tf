# The buckets of contracts/buckets.yaml, each with a copy in another region: the next one of the contract, and after the last
# the first. A copy belongs to the state of the bucket it copies, so no region waits for the other's buckets.
locals {
  copy_region = local.region_names[(index(local.region_names, var.region) + 1) % length(local.region_names)]

  buckets = {
    for name, bucket in yamldecode(file("${path.module}/../../contracts/buckets.yaml")).buckets :
    name => merge({ expire_days = null, glacier_days = null, copy_prefix = "", scratch_prefix = null }, bucket)
  }

  # Bucket names are shared by all accounts of AWS; the account makes ours our own.
  bucket_names = {
    for name in keys(local.buckets) : name => "${local.project}-${name}-${local.workspace}-${var.aws_account_id}"
  }
  copy_names = {
    for name in keys(local.buckets) : name => "${local.project}-${name}-copy-${local.workspace}-${var.aws_account_id}"
  }
}

provider "aws" {
  alias               = "copy"
  region              = local.aws_regions[local.copy_region]
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = local.tags
  }
}

module "bucket" {
  source   = "../modules/bucket"
  for_each = local.buckets

  name                 = local.bucket_names[each.key]
  key_arn              = local.key_arns[var.region].objects
  destroy_with_objects = !local.protect_data
  expire_days          = each.value.expire_days
  glacier_days         = each.value.glacier_days
  scratch_prefix       = each.value.scratch_prefix
}

module "copy" {
  source   = "../modules/bucket"
  for_each = local.buckets

  providers = {
    aws = aws.copy
  }

  name                 = local.copy_names[each.key]
  key_arn              = local.key_arns[local.copy_region].objects
  destroy_with_objects = !local.protect_data
  expire_days          = each.value.expire_days
  glacier_days         = each.value.glacier_days
}

# The functions' packages, which layer 200 puts there and deletes when they change. They have no copy: they are built again
# from the sources, and Lambda keeps the code of every version by itself.
module "packages" {
  source = "../modules/bucket"

  name                 = "${local.project}-packages-${local.workspace}-${var.aws_account_id}"
  key_arn              = local.key_arns[var.region].objects
  destroy_with_objects = !local.protect_data
}
