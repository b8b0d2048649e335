# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

override_resource {
  target          = aws_security_group.functions
  override_during = plan
  values          = { id = "sg-functions" }
}

override_data {
  target = data.terraform_remote_state.this
  values = { outputs = { workspace = "applied" } }
}

run "network" {
  command = plan

  assert {
    condition     = aws_vpc.this.cidr_block == var.vpc_cidr && aws_vpc.this.enable_dns_hostnames
    error_message = "The VPC has to have the workspace's range, and names, or private DNS of endpoints fails."
  }

  assert {
    condition     = tolist([for subnet in concat(aws_subnet.public, aws_subnet.private) : subnet.cidr_block]) == concat(var.public_subnet_cidrs, var.private_subnet_cidrs)
    error_message = "The subnets have to have the workspace's ranges."
  }

  assert {
    condition     = length(distinct(aws_subnet.private[*].availability_zone)) == 2 && aws_subnet.public[*].availability_zone == aws_subnet.private[*].availability_zone
    error_message = "Public and private subnets have to lie over the same two zones."
  }

  assert {
    condition     = !anytrue(aws_subnet.public[*].map_public_ip_on_launch)
    error_message = "Nothing gets a public address by itself."
  }

  assert {
    condition     = keys(aws_vpc_endpoint.gateway) == ["dynamodb", "s3"] && keys(aws_vpc_endpoint.interface) == ["sqs"]
    error_message = "The functions need gateway endpoints for DynamoDB and S3, an interface endpoint for SQS, and no others, which cost by the hour."
  }

  assert {
    condition     = [aws_vpc_security_group_egress_rule.functions_https.from_port, aws_vpc_security_group_egress_rule.functions_https.to_port, aws_vpc_security_group_egress_rule.functions_https.ip_protocol] == [443, 443, "tcp"]
    error_message = "Functions speak HTTPS and nothing else."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints_https.referenced_security_group_id == "sg-functions"
    error_message = "Endpoints take connections of functions only."
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow.name == "/aws/vpc/cutlass-tech-${terraform.workspace}" && aws_cloudwatch_log_group.flow.retention_in_days == var.log_retention_days
    error_message = "Flow logs have to go to the workspace's log group, and stay as long as its variable file says."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == (var.enable_enhanced_security ? "ALL" : "REJECT")
    error_message = "Flow logs hold all traffic where enhanced security is on, else what was rejected."
  }

  assert {
    condition     = alltrue([for name in ["tables", "objects", "messages", "logs"] : aws_kms_alias.this[name].name == "alias/cutlass-tech-${name}-${terraform.workspace}"])
    error_message = "Each kind of data has a key of its own, under an alias with the workspace's name."
  }

  assert {
    condition     = strcontains(aws_kms_key.this["tables"].policy, "kms:ScheduleKeyDeletion") == (var.environment == "dev")
    error_message = "Outside dev nobody may delete the tables' key before an apply has allowed it."
  }
}
