# Functions open connections and take none. Where they go has no fixed addresses: DynamoDB of the other regions, the key
# sets of the user pools, customers' webhooks. So it is HTTPS to anywhere, and what a function may touch its role says.
resource "aws_security_group" "functions" {
  # checkov:skip=CKV2_AWS_5:The functions of layer 200 use it
  name        = "${local.project}-functions-${local.workspace}"
  description = "Functions: HTTPS out, nothing in"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${local.project}-functions-${local.workspace}" }
}

resource "aws_vpc_security_group_egress_rule" "functions_https" {
  security_group_id = aws_security_group.functions.id
  description       = "HTTPS to AWS, user pools and webhooks"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_security_group" "endpoints" {
  name        = "${local.project}-endpoints-${local.workspace}"
  description = "Interface endpoints: HTTPS from functions, nothing out"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${local.project}-endpoints-${local.workspace}" }
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_https" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "HTTPS from functions"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.functions.id
}
