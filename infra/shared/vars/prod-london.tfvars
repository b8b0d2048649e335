environment    = "prod"
region         = "london"
aws_region     = "eu-west-2"
aws_account_id = "333333333333"

vpc_cidr             = "10.4.0.0/16"
public_subnet_cidrs  = ["10.4.1.0/24", "10.4.2.0/24"]
private_subnet_cidrs = ["10.4.3.0/24", "10.4.4.0/24"]

lambda_memory_size         = 1024
log_retention_days         = 30
enable_detailed_monitoring = true
enable_enhanced_security   = true

api_gateway_stage  = "prod"
global_domain_name = "api.your-domain.com"
domain_name        = "api-london.your-domain.com"
certificate_arn    = "arn:aws:acm:eu-west-2:333333333333:certificate/00000000-0000-0000-0000-000000000004"

operator_emails    = ["operators@your-domain.com"]
monthly_budget_usd = 5000
