locals {
  account_root = "arn:aws:iam::${var.aws_account_id}:root"

  # The root principal stands for the account: who of it may do this, its IAM policies say.
  key_statements = [
    {
      Sid       = "Administration"
      Effect    = "Allow"
      Principal = { AWS = local.account_root }
      Action    = local.key_administration
      Resource  = "*"
    },
    {
      Sid       = "StateAndLocks"
      Effect    = "Allow"
      Principal = { AWS = local.account_root }
      Action    = local.key_use
      Resource  = "*"
      Condition = {
        StringLike = { "kms:ViaService" = ["s3.${var.aws_region}.amazonaws.com", "dynamodb.*.amazonaws.com"] }
      }
    },
  ]

  bucket_statements = [
    {
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    },
  ]
}
