locals {
  project   = "cutlass-tech"
  layer     = basename(abspath(path.module))
  workspace = "${var.environment}-${var.region}"

  tags = {
    Environment = var.environment
    Region      = var.region
    Workspace   = local.workspace
    Account     = var.aws_account_id
    Project     = local.project
  }

  # Where alarms go. Layer 400 makes the topic, and any layer's alarms name it: CloudWatch takes one that is not there yet.
  operators_topic     = "${local.project}-operators-${local.workspace}"
  operators_topic_arn = "arn:aws:sns:${var.aws_region}:${var.aws_account_id}:${local.operators_topic}"

  state_bucket = "${local.project}-terraform-state-${var.aws_account_id}"
}

# The regions, in the order of the contract: the first is home. A YAML mapping loses its order in Terraform, so it is
# taken from the text: a name's place is the length of what stands before it.
locals {
  regions_text = file("${path.module}/../../contracts/regions.yaml")
  regions      = yamldecode(local.regions_text).regions
  aws_regions  = { for name, region in local.regions : name => region.aws_region }

  region_names = [
    for place in sort([
      for name in keys(local.regions) : format("%08d %s", length(split("\n  ${name}:", local.regions_text)[0]), name)
    ]) : split(" ", place)[1]
  ]
  home    = local.region_names[0]
  is_home = var.region == local.home
  peers   = [for name in local.region_names : name if name != var.region]

  # Whose copies of buckets lie here: the region's before this one in the contract, and before the first the last's.
  copied_region = local.region_names[(index(local.region_names, var.region) + length(local.region_names) - 1) % length(local.region_names)]
}

# What stands outside dev is lost only in two steps: an apply that allows it, then what destroys it.
locals {
  protect_data = var.environment != "dev" && !var.allow_data_destruction
}

# The variable files of all workspaces, against which those of this one are held.
locals {
  workspaces = {
    for name in fileset("${path.module}/vars", "*.tfvars") :
    trimsuffix(name, ".tfvars") => provider::terraform::decode_tfvars(file("${path.module}/vars/${name}"))
  }
  environments     = distinct(values(local.workspaces)[*].environment)
  other_workspaces = { for name, values in local.workspaces : name => values if name != local.workspace }

  # The regions' domains in this environment.
  regional_domains = [for values in values(local.workspaces) : values.domain_name if values.environment == var.environment]
}
