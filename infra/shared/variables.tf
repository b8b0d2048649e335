# The variables of every layer. Values are in vars/{workspace}.tfvars; each rule says how to keep it.

variable "environment" {
  description = <<-EOT
    The environment, one AWS account each: dev, staging or prod.

    Example: "dev"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = contains(local.environments, var.environment)
    error_message = "environment is \"${var.environment}\"; there are variable files for ${join(", ", local.environments)}."
  }
}

variable "region" {
  description = <<-EOT
    The region by the name contracts/regions.yaml gives it.

    Example: "london"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = contains(local.region_names, var.region)
    error_message = "contracts/regions.yaml has no region \"${var.region}\"; it has ${join(", ", local.region_names)}. Add it there, or correct the variable file."
  }

  validation {
    condition     = terraform.workspace == "${var.environment}-${var.region}"
    error_message = "This is workspace ${terraform.workspace}, and the variables are those of ${var.environment}-${var.region}. Either run `terraform workspace select -or-create ${var.environment}-${var.region}`, or pass -var-file=vars/${terraform.workspace}.tfvars."
  }
}

variable "aws_region" {
  description = <<-EOT
    Where the region is in AWS, as in contracts/regions.yaml.

    Example: "eu-west-2"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = var.aws_region == lookup(local.aws_regions, var.region, var.aws_region)
    error_message = "aws_region is ${var.aws_region}, and contracts/regions.yaml has ${var.region} in ${lookup(local.aws_regions, var.region, "no AWS region")}. Correct aws_region in vars/${var.environment}-${var.region}.tfvars."
  }
}

variable "aws_account_id" {
  description = <<-EOT
    The account of the environment: twelve digits. Credentials of any other account are refused.

    Example: "111111111111"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id is \"${var.aws_account_id}\"; it has to be twelve digits in quotation marks, or leading zeros are lost."
  }

  validation {
    condition = alltrue([
      for values in values(local.workspaces) :
      (values.environment == var.environment) == (values.aws_account_id == var.aws_account_id)
    ])
    error_message = "${var.aws_account_id} is not the account the variable files give ${var.environment}, or is another environment's too. Every environment has one account of its own: make aws_account_id agree in vars/*.tfvars."
  }
}

variable "vpc_cidr" {
  description = <<-EOT
    The addresses of the VPC: a private range of /16 to /24 that no other workspace has, so that peering stays possible.

    Example: "10.0.0.0/16"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(cidrsubnet(var.vpc_cidr, 0, 0), "") == var.vpc_cidr
    error_message = "vpc_cidr is \"${var.vpc_cidr}\"; it has to be an IPv4 network such as 10.0.0.0/16, with the bits after the prefix zero."
  }

  validation {
    condition     = try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 24, false)
    error_message = "vpc_cidr is ${var.vpc_cidr}; its prefix has to be /16 to /24."
  }

  validation {
    condition = try(anytrue([
      cidrhost("${split("/", var.vpc_cidr)[0]}/8", 0) == "10.0.0.0",
      cidrhost("${split("/", var.vpc_cidr)[0]}/12", 0) == "172.16.0.0",
      cidrhost("${split("/", var.vpc_cidr)[0]}/16", 0) == "192.168.0.0",
    ]), false)
    error_message = "vpc_cidr is ${var.vpc_cidr}; take it from a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }

  # Two networks overlap if they are the same under the shorter prefix of the two.
  validation {
    condition = try(alltrue([
      for other in values(local.other_workspaces) : (
        cidrhost("${split("/", var.vpc_cidr)[0]}/${min(split("/", var.vpc_cidr)[1], split("/", other.vpc_cidr)[1])}", 0) !=
        cidrhost("${split("/", other.vpc_cidr)[0]}/${min(split("/", var.vpc_cidr)[1], split("/", other.vpc_cidr)[1])}", 0)
      )
    ]), false)
    error_message = "vpc_cidr ${var.vpc_cidr} overlaps that of another workspace. Give this one a range of its own; taken are ${join(", ", [for name, other in local.other_workspaces : "${other.vpc_cidr} (${name})"])}."
  }
}

variable "public_subnet_cidrs" {
  description = <<-EOT
    The public subnets, one per availability zone, inside vpc_cidr. The NAT gateway is in the first.

    Example: ["10.0.1.0/24", "10.0.2.0/24"]
  EOT
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.public_subnet_cidrs) == 2
    error_message = "public_subnet_cidrs has ${length(var.public_subnet_cidrs)} entries; it has to have two, one per availability zone."
  }

  validation {
    condition = alltrue([
      for cidr in var.public_subnet_cidrs : can(cidrnetmask(cidr)) && try(
        tonumber(split("/", cidr)[1]) > tonumber(split("/", var.vpc_cidr)[1]) && tonumber(split("/", cidr)[1]) <= 28 &&
        cidrhost("${split("/", cidr)[0]}/${split("/", var.vpc_cidr)[1]}", 0) == split("/", var.vpc_cidr)[0], false
      )
    ])
    error_message = "public_subnet_cidrs are ${join(", ", var.public_subnet_cidrs)}; each has to be a network inside vpc_cidr ${var.vpc_cidr}, of /28 or larger."
  }
}

variable "private_subnet_cidrs" {
  description = <<-EOT
    The private subnets, one per availability zone, inside vpc_cidr and apart from the public ones. Functions run here.

    Example: ["10.0.3.0/24", "10.0.4.0/24"]
  EOT
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.private_subnet_cidrs) == 2
    error_message = "private_subnet_cidrs has ${length(var.private_subnet_cidrs)} entries; it has to have two, one per availability zone."
  }

  validation {
    condition = alltrue([
      for cidr in var.private_subnet_cidrs : can(cidrnetmask(cidr)) && try(
        tonumber(split("/", cidr)[1]) > tonumber(split("/", var.vpc_cidr)[1]) && tonumber(split("/", cidr)[1]) <= 28 &&
        cidrhost("${split("/", cidr)[0]}/${split("/", var.vpc_cidr)[1]}", 0) == split("/", var.vpc_cidr)[0], false
      )
    ])
    error_message = "private_subnet_cidrs are ${join(", ", var.private_subnet_cidrs)}; each has to be a network inside vpc_cidr ${var.vpc_cidr}, of /28 or larger."
  }

  validation {
    condition = alltrue([
      for pair in setproduct(range(4), range(4)) : pair[0] >= pair[1] || try(
        cidrhost(
          "${split("/", concat(var.public_subnet_cidrs, var.private_subnet_cidrs)[pair[0]])[0]}/${min([for i in pair : split("/", concat(var.public_subnet_cidrs, var.private_subnet_cidrs)[i])[1]]...)}", 0
        ) !=
        cidrhost(
          "${split("/", concat(var.public_subnet_cidrs, var.private_subnet_cidrs)[pair[1]])[0]}/${min([for i in pair : split("/", concat(var.public_subnet_cidrs, var.private_subnet_cidrs)[i])[1]]...)}", 0
      ), true)
    ])
    error_message = "Of the subnets ${join(", ", concat(var.public_subnet_cidrs, var.private_subnet_cidrs))} two overlap; give each a range of its own."
  }
}

variable "lambda_memory_size" {
  description = <<-EOT
    Memory of the functions, in MB. CPU grows with it.

    Example: 256 in dev, 512 in staging, 1024 in prod
  EOT
  type        = number
  nullable    = false

  validation {
    condition     = var.lambda_memory_size == floor(var.lambda_memory_size) && var.lambda_memory_size >= 128 && var.lambda_memory_size <= 10240
    error_message = "lambda_memory_size is ${var.lambda_memory_size}; Lambda takes whole megabytes from 128 to 10240."
  }
}

variable "log_retention_days" {
  description = <<-EOT
    How long log groups keep their lines, in days.

    Example: 7 in dev, 14 in staging, 30 in prod
  EOT
  type        = number
  nullable    = false

  validation {
    condition = contains([
      1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
    ], var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}; CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365 days, or for one of the longer times in its documentation."
  }
}

variable "enable_detailed_monitoring" {
  description = <<-EOT
    Whether to record metrics per route and table, which cost extra. Off in dev.
  EOT
  type        = bool
  nullable    = false
}

variable "enable_enhanced_security" {
  description = <<-EOT
    Whether to put a web application firewall before the interface and keep flow logs of all traffic, not of what was
    rejected only. On in prod.
  EOT
  type        = bool
  nullable    = false

  validation {
    condition     = var.enable_enhanced_security || var.environment != "prod"
    error_message = "enable_enhanced_security is off in prod; set it to true in vars/${var.environment}-${var.region}.tfvars."
  }
}

variable "api_gateway_stage" {
  description = <<-EOT
    The stage of the REST API.

    Example: "dev"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,128}$", var.api_gateway_stage))
    error_message = "api_gateway_stage is \"${var.api_gateway_stage}\"; it may hold letters, digits, hyphens and underscores, up to 128."
  }
}

variable "domain_name" {
  description = <<-EOT
    The domain of this region's interface. Layer 900 makes a zone for it.

    Example: "api-dev-london.your-domain.com"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain_name))
    error_message = "domain_name is \"${var.domain_name}\"; it has to be a domain in lower case such as api-dev-london.your-domain.com, without a scheme or a path."
  }

  validation {
    condition     = !contains([for other in values(local.other_workspaces) : other.domain_name], var.domain_name)
    error_message = "domain_name ${var.domain_name} is another workspace's too; give each a name of its own."
  }
}

variable "certificate_arn" {
  description = <<-EOT
    The certificate of domain_name and global_domain_name in ACM. It has to be in this region, for the custom domains are
    regional ones.

    Example: "arn:aws:acm:eu-west-2:111111111111:certificate/00000000-0000-0000-0000-000000000000"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]{36}$", var.certificate_arn))
    error_message = "certificate_arn is \"${var.certificate_arn}\"; it has to be the ARN of a certificate in ACM, as `aws acm list-certificates --region ${var.aws_region}` shows it."
  }

  validation {
    condition     = try(slice(split(":", var.certificate_arn), 3, 5), []) == tolist([var.aws_region, var.aws_account_id])
    error_message = "certificate_arn is ${var.certificate_arn}; the certificate has to be in region ${var.aws_region} of account ${var.aws_account_id}. Request one there: `aws acm request-certificate --region ${var.aws_region} --domain-name ${var.domain_name} --subject-alternative-names ${var.global_domain_name} --validation-method DNS`."
  }
}

variable "global_domain_name" {
  description = <<-EOT
    The domain callers use, which DNS answers with the region that suits them; mail is sent from it too. It has the parent of
    domain_name and is the same in every region of the environment.

    Example: "api-dev.your-domain.com"
  EOT
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.global_domain_name))
    error_message = "global_domain_name is \"${var.global_domain_name}\"; it has to be a domain in lower case such as api-dev.your-domain.com, without a scheme or a path."
  }

  validation {
    condition     = try(regex("[.].*", var.global_domain_name), "") == try(regex("[.].*", var.domain_name), "none")
    error_message = "global_domain_name ${var.global_domain_name} and domain_name ${var.domain_name} have different parents, and one certificate and one delegation serve both. Put both under one domain in vars/${var.environment}-${var.region}.tfvars."
  }

  validation {
    condition = alltrue([
      for values in values(local.workspaces) :
      (values.environment == var.environment) == (values.global_domain_name == var.global_domain_name)
    ])
    error_message = "global_domain_name ${var.global_domain_name} is not the one the variable files give ${var.environment}, or is another environment's too. Make it agree in vars/*.tfvars: one per environment, the same in all its regions."
  }

  validation {
    condition     = !contains([for values in values(local.workspaces) : values.domain_name], var.global_domain_name)
    error_message = "global_domain_name ${var.global_domain_name} is the domain of one region too; DNS could not steer callers away from it. Give it a name of its own."
  }
}

variable "certificate_validation_records" {
  description = <<-EOT
    The CNAME records ACM asks for to validate the certificates, and again each year to renew them, as
    `aws acm describe-certificate` shows them. Layer 900 keeps them in DNS.

    Example: [{ name = "_3639.api-dev.your-domain.com", value = "_5c1a.acm-validations.aws" }]
  EOT
  type        = list(object({ name = string, value = string }))
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for record in var.certificate_validation_records : anytrue([
        for domain in concat([var.global_domain_name], local.regional_domains) : endswith(trimsuffix(record.name, "."), ".${domain}")
      ])
    ])
    error_message = "Of certificate_validation_records ${join(", ", var.certificate_validation_records[*].name)} one is under no zone of ${var.environment}, so nobody would find it there. The zones are ${join(", ", concat([var.global_domain_name], local.regional_domains))}."
  }

  validation {
    condition     = alltrue([for record in var.certificate_validation_records : can(regex("[.]acm-validations[.]aws[.]?$", record.value))])
    error_message = "certificate_validation_records have values ${join(", ", var.certificate_validation_records[*].value)}; those of ACM end with acm-validations.aws. Copy name and value as `aws acm describe-certificate` shows them."
  }
}

variable "routing_policy" {
  description = <<-EOT
    How DNS chooses the region of a caller: geolocation (by the continents of contracts/regions.yaml), latency (the nearest),
    or failover (the home region while it is healthy). Under each a region whose health check fails gets no callers.
  EOT
  type        = string
  default     = "geolocation"
  nullable    = false

  validation {
    condition     = contains(["geolocation", "latency", "failover"], var.routing_policy)
    error_message = "routing_policy is \"${var.routing_policy}\"; it has to be geolocation, latency or failover."
  }
}

variable "drained_regions" {
  description = <<-EOT
    Regions that DNS takes for unhealthy whatever they answer: the others take over. For drills and for work on a region; stays
    empty in the variable files.

    Example: -var 'drained_regions=["london"]'
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.drained_regions, local.region_names)) == 0
    error_message = "drained_regions has ${join(", ", setsubtract(var.drained_regions, local.region_names))}, which contracts/regions.yaml does not; it has ${join(", ", local.region_names)}."
  }

  validation {
    condition     = length(setsubtract(local.region_names, var.drained_regions)) > 0
    error_message = "drained_regions has every region, and none would be left to answer. Leave at least one out."
  }
}

variable "operator_emails" {
  description = <<-EOT
    Who is told of alarms and of cost. Each address gets a message once and has to confirm it.

    Example: ["operators@your-domain.com"]
  EOT
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.operator_emails) > 0 && length(var.operator_emails) <= 10
    error_message = "operator_emails has ${length(var.operator_emails)} addresses; give one to ten, or nobody learns of an alarm."
  }

  validation {
    condition     = alltrue([for address in var.operator_emails : can(regex("^[^@\\s,]+@[^@\\s,]+[.][^@\\s,.]+$", address))])
    error_message = "operator_emails are ${join(", ", var.operator_emails)}; each has to be an e-mail address."
  }
}

variable "monthly_budget_usd" {
  description = <<-EOT
    What the environment may cost in a month, all regions together, in whole US dollars. Operators are told when it is
    forecast to cost more, and when four fifths are spent; nothing is switched off.

    Example: 200
  EOT
  type        = number
  nullable    = false

  validation {
    condition     = var.monthly_budget_usd == floor(var.monthly_budget_usd) && var.monthly_budget_usd >= 1 && var.monthly_budget_usd <= 1000000
    error_message = "monthly_budget_usd is ${var.monthly_budget_usd}; it has to be whole dollars, from 1 to 1000000."
  }
}

variable "allow_data_destruction" {
  description = <<-EOT
    Whether what holds data may be destroyed outside dev. It stays false in the variable files: to destroy data, apply once
    with -var allow_data_destruction=true, then destroy with it.
  EOT
  type        = bool
  default     = false
  nullable    = false
}

variable "decision_provisioned_concurrency" {
  description = <<-EOT
    How many execution environments of usage-check are kept waiting, for money, so that no decision meets a cold start. Of its
    reserved concurrency in contracts/functions.yaml; 0 for none.

    Example: 5
  EOT
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.decision_provisioned_concurrency == floor(var.decision_provisioned_concurrency) && var.decision_provisioned_concurrency >= 0 && var.decision_provisioned_concurrency <= 400
    error_message = "decision_provisioned_concurrency is ${var.decision_provisioned_concurrency}; it has to be a whole number from 0 to 400, which is what contracts/functions.yaml reserves for usage-check."
  }
}
