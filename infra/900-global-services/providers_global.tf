# Route 53 tells its metrics in us-east-1 alone, and an alarm needs its topic beside it. Nothing that steers callers is here:
# health checks fail over by themselves, whatever becomes of us-east-1.
provider "aws" {
  alias               = "global"
  region              = "us-east-1"
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = local.tags
  }
}
