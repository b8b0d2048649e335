output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "api_gateway_invoke_url" {
  description = "The address of the stage at API Gateway itself, without the custom domain."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "api" {
  description = "The REST API: id, stage, name, arn (of the stage)."
  value = {
    id    = aws_api_gateway_rest_api.this.id
    name  = aws_api_gateway_rest_api.this.name
    stage = aws_api_gateway_stage.this.stage_name
    arn   = aws_api_gateway_stage.this.arn
  }
}

output "custom_domain" {
  description = "The region's own domain, and where a record for it has to lead: name, target_domain_name, target_zone_id."
  value = {
    name               = aws_api_gateway_domain_name.this.domain_name
    target_domain_name = aws_api_gateway_domain_name.this.regional_domain_name
    target_zone_id     = aws_api_gateway_domain_name.this.regional_zone_id
  }
}

output "global_domain" {
  description = "The global domain as this region answers to it: name, target_domain_name, target_zone_id."
  value = {
    name               = aws_api_gateway_domain_name.global.domain_name
    target_domain_name = aws_api_gateway_domain_name.global.regional_domain_name
    target_zone_id     = aws_api_gateway_domain_name.global.regional_zone_id
  }
}

output "user_pool" {
  description = "The user pool: id, arn, issuer, token_url, web_client_id, service_client_id."
  value = {
    id                = aws_cognito_user_pool.this.id
    arn               = aws_cognito_user_pool.this.arn
    issuer            = local.issuer
    token_url         = "https://${aws_cognito_user_pool_domain.this.domain}.auth.${var.aws_region}.amazoncognito.com/oauth2/token"
    web_client_id     = aws_cognito_user_pool_client.web.id
    service_client_id = aws_cognito_user_pool_client.service.id
  }
}

output "service_client_secret" {
  description = "The secret of the service client: `terraform output -raw service_client_secret`."
  value       = aws_cognito_user_pool_client.service.client_secret
  sensitive   = true
}
