# What AWS would answer while a test plans. Keys are alike in all regions unless a test says otherwise.
mock_data "aws_availability_zones" {
  defaults = {
    names = ["zone-a", "zone-b", "zone-c"]
  }
}

mock_data "aws_s3_objects" {
  defaults = {
    keys = ["terraform.tfstate"]
  }
}

mock_data "aws_dynamodb_table" {
  defaults = {
    arn            = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-mocked"
    stream_enabled = true
    stream_arn     = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-mocked/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-mocked"
    stream_arn = "arn:aws:dynamodb:us-east-1:111111111111:table/cutlass-tech-mocked/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000000"
    key_id = "00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:111111111111:log-group:mocked"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::111111111111:role/cutlass-tech-mocked"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    arn = "arn:aws:s3:::cutlass-tech-mocked"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:us-east-1:111111111111:cutlass-tech-mocked"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn     = "arn:aws:lambda:us-east-1:111111111111:function:cutlass-tech-mocked"
    version = "1"
  }
}

mock_resource "aws_lambda_alias" {
  defaults = {
    arn        = "arn:aws:lambda:us-east-1:111111111111:function:cutlass-tech-mocked:live"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/mocked/invocations"
  }
}

mock_resource "aws_api_gateway_rest_api" {
  defaults = {
    id            = "mocked"
    execution_arn = "arn:aws:execute-api:us-east-1:111111111111:mocked"
  }
}

mock_resource "aws_api_gateway_stage" {
  defaults = {
    arn        = "arn:aws:apigateway:us-east-1::/restapis/mocked/stages/mocked"
    invoke_url = "https://mocked.execute-api.us-east-1.amazonaws.com/mocked"
  }
}

mock_resource "aws_cognito_user_pool" {
  defaults = {
    id  = "us-east-1_Mocked123"
    arn = "arn:aws:cognito-idp:us-east-1:111111111111:userpool/us-east-1_Mocked123"
  }
}

mock_resource "aws_wafv2_web_acl" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:111111111111:regional/webacl/mocked/00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_api_gateway_usage_plan" {
  defaults = {
    id = "mocked"
  }
}

mock_resource "aws_cognito_user_pool_client" {
  defaults = {
    id = "mocked"
  }
}
