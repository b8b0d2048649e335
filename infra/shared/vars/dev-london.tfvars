environment    = "dev"
region         = "london"
aws_region     = "eu-west-2"
aws_account_id = "111111111111"

vpc_cidr             = "10.0.0.0/16"
public_subnet_cidrs  = ["10.0.1.0/24", "10.0.2.0/24"]
private_subnet_cidrs = ["10.0.3.0/24", "10.0.4.0/24"]

lambda_memory_size         = 256
log_retention_days         = 7
enable_detailed_monitoring = false
enable_enhanced_security   = false

api_gateway_stage  = "dev"
global_domain_name = "api-dev.your-domain.com"
domain_name        = "api-dev-london.your-domain.com"
certificate_arn    = "arn:aws:acm:eu-west-2:111111111111:certificate/00000000-0000-0000-0000-000000000000"

operator_emails    = ["operators@your-domain.com"]
monthly_budget_usd = 200
