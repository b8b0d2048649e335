# The region's user pool: services by client credentials, people by the hosted sign-in with PKCE.
locals {
  # Cognito's scopes have two parts, so `admin` is `admin/all` there.
  scopes = [
    for scope in keys(local.contract.components.securitySchemes.service.flows.clientCredentials.scopes) :
    length(split("/", scope)) == 2 ? scope : "${scope}/all"
  ]
  scope_titles = {
    for scope, title in local.contract.components.securitySchemes.service.flows.clientCredentials.scopes :
    length(split("/", scope)) == 2 ? scope : "${scope}/all" => title
  }
  resource_servers = {
    for server in distinct([for scope in local.scopes : split("/", scope)[0]]) :
    server => [for scope in local.scopes : split("/", scope)[1] if split("/", scope)[0] == server]
  }

  # A second factor is a matter of the environment: people in prod need one.
  second_factor = var.environment == "prod" ? "ON" : "OPTIONAL"

  # Where people come back to after signing in: the console of the same environment and region.
  console = "https://${replace(var.domain_name, "/^api/", "console")}"

  # What the tokens say of people; only administrators write it, or people would choose their own organisation.
  own_attributes = { org_id = 128, role = 16 }
}

resource "aws_cognito_user_pool" "this" {
  name                = "${local.project}-users-${local.workspace}"
  user_pool_tier      = "ESSENTIALS" # claims in access tokens need it
  alias_attributes    = ["email"]
  deletion_protection = local.protect_data ? "ACTIVE" : "INACTIVE"
  mfa_configuration   = local.second_factor

  auto_verified_attributes = ["email"]

  software_token_mfa_configuration {
    enabled = true
  }

  password_policy {
    minimum_length                   = 14
    require_lowercase                = true
    require_uppercase                = true
    require_numbers                  = true
    require_symbols                  = true
    password_history_size            = 5
    temporary_password_validity_days = 3
  }

  # People are added by an administrator of their organisation, never by themselves.
  admin_create_user_config {
    allow_admin_create_user_only = true
  }

  account_recovery_setting {
    recovery_mechanism {
      name     = "verified_email"
      priority = 1
    }
  }

  username_configuration {
    case_sensitive = true
  }

  dynamic "schema" {
    for_each = local.own_attributes

    content {
      name                = schema.key
      attribute_data_type = "String"
      mutable             = true

      string_attribute_constraints {
        min_length = "1"
        max_length = tostring(schema.value)
      }
    }
  }

  lambda_config {
    pre_token_generation_config {
      lambda_arn     = local.functions["claims"].alias_arn
      lambda_version = "V2_0"
    }
  }
}

resource "aws_lambda_permission" "claims" {
  statement_id  = "${aws_cognito_user_pool.this.name}-claims"
  function_name = local.functions["claims"].name
  qualifier     = local.functions["claims"].alias
  action        = "lambda:InvokeFunction"
  principal     = "cognito-idp.amazonaws.com"
  source_arn    = aws_cognito_user_pool.this.arn
}

resource "aws_cognito_user_pool_domain" "this" {
  # All accounts of a region share these names; the account makes ours our own.
  domain       = "${local.project}-${local.workspace}-${var.aws_account_id}"
  user_pool_id = aws_cognito_user_pool.this.id
}

resource "aws_cognito_resource_server" "this" {
  for_each = local.resource_servers

  identifier   = each.key
  name         = each.key
  user_pool_id = aws_cognito_user_pool.this.id

  dynamic "scope" {
    for_each = each.value

    content {
      scope_name        = scope.value
      scope_description = local.scope_titles["${each.key}/${scope.value}"]
    }
  }
}

resource "aws_cognito_user_pool_client" "service" {
  name         = "service"
  user_pool_id = aws_cognito_user_pool.this.id

  generate_secret                      = true
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["client_credentials"]
  allowed_oauth_scopes                 = local.scopes
  enable_token_revocation              = true
  prevent_user_existence_errors        = "ENABLED"
  access_token_validity                = 60

  token_validity_units {
    access_token = "minutes"
  }

  depends_on = [aws_cognito_resource_server.this]
}

resource "aws_cognito_user_pool_client" "web" {
  name         = "web"
  user_pool_id = aws_cognito_user_pool.this.id

  # A browser keeps no secret: it proves with PKCE that the code is its own.
  generate_secret                      = false
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["code"]
  allowed_oauth_scopes                 = ["openid", "email", "profile"]
  callback_urls                        = ["${local.console}/signed-in"]
  logout_urls                          = ["${local.console}/signed-out"]
  supported_identity_providers         = ["COGNITO"]
  explicit_auth_flows                  = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
  read_attributes                      = concat(["email", "email_verified", "name"], [for name in keys(local.own_attributes) : "custom:${name}"])
  write_attributes                     = ["email", "name"]
  enable_token_revocation              = true
  prevent_user_existence_errors        = "ENABLED"
  access_token_validity                = 15
  id_token_validity                    = 15
  refresh_token_validity               = 12

  token_validity_units {
    access_token  = "minutes"
    id_token      = "minutes"
    refresh_token = "hours"
  }

  depends_on = [aws_cognito_user_pool.this]
}

# Tells the authorizers of all regions whose tokens to accept (docs/decisions/0021-issuers-and-gateway-keys.md).
resource "aws_dynamodb_table_item" "issuer" {
  table_name = local.tables["organisations"].name
  hash_key   = "pk"
  range_key  = "sk"

  item = jsonencode({
    pk      = { S = "${var.region}#issuer" }
    sk      = { S = "issuer" }
    issuer  = { S = local.issuer }
    clients = { L = [for id in sort([aws_cognito_user_pool_client.service.id, aws_cognito_user_pool_client.web.id]) : { S = id }] }
  })
}

locals {
  issuer = "https://cognito-idp.${var.aws_region}.amazonaws.com/${aws_cognito_user_pool.this.id}"
}
