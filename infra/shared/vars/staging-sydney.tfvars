environment    = "staging"
region         = "sydney"
aws_region     = "ap-southeast-2"
aws_account_id = "222222222222"

vpc_cidr             = "10.3.0.0/16"
public_subnet_cidrs  = ["10.3.1.0/24", "10.3.2.0/24"]
private_subnet_cidrs = ["10.3.3.0/24", "10.3.4.0/24"]

lambda_memory_size         = 512
log_retention_days         = 14
enable_detailed_monitoring = true
enable_enhanced_security   = false

api_gateway_stage  = "staging"
global_domain_name = "api-staging.your-domain.com"
domain_name        = "api-staging-sydney.your-domain.com"
certificate_arn    = "arn:aws:acm:ap-southeast-2:222222222222:certificate/00000000-0000-0000-0000-000000000003"

operator_emails    = ["operators@your-domain.com"]
monthly_budget_usd = 500
