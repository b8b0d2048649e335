# What layer 400 makes for mail, by name: it comes after the roles that may send.
locals {
  mail_from = "alerts@${var.global_domain_name}"
  ses_base  = "arn:aws:ses:${var.aws_region}:${var.aws_account_id}"

  mail_templates = [
    for file in fileset("${path.module}/../../contracts/emails", "*.yaml") :
    "${local.project}-${trimsuffix(file, ".yaml")}-${local.workspace}"
  ]

  mail_arns = concat(
    ["${local.ses_base}:identity/${var.global_domain_name}", "${local.ses_base}:configuration-set/${local.project}-mail-${local.workspace}"],
    [for name in local.mail_templates : "${local.ses_base}:template/${name}"],
  )
}
