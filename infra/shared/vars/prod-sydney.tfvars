environment    = "prod"
region         = "sydney"
aws_region     = "ap-southeast-2"
aws_account_id = "333333333333"

vpc_cidr             = "10.5.0.0/16"
public_subnet_cidrs  = ["10.5.1.0/24", "10.5.2.0/24"]
private_subnet_cidrs = ["10.5.3.0/24", "10.5.4.0/24"]

lambda_memory_size         = 1024
log_retention_days         = 30
enable_detailed_monitoring = true
enable_enhanced_security   = true

api_gateway_stage  = "prod"
global_domain_name = "api.your-domain.com"
domain_name        = "api-sydney.your-domain.com"
certificate_arn    = "arn:aws:acm:ap-southeast-2:333333333333:certificate/00000000-0000-0000-0000-000000000005"

operator_emails    = ["operators@your-domain.com"]
monthly_budget_usd = 5000
