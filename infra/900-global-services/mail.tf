# What proves to receivers that mail from the global domain is ours. Each region signs with keys of its own.
locals {
  mail = { for name in local.region_names : name => local.messaging[name].mail }

  # SES gives three tokens per identity.
  dkim = { for pair in setproduct(local.region_names, range(3)) : "${pair[0]}-${pair[1]}" => local.mail[pair[0]].dkim_tokens[pair[1]] }
}

resource "aws_route53_record" "dkim" {
  for_each = local.dkim

  zone_id = local.zone_id
  name    = "${each.value}._domainkey.${var.global_domain_name}"
  type    = "CNAME"
  ttl     = 1800
  records = ["${each.value}.dkim.amazonses.com"]
}

# Bounces come back to the region that sent.
resource "aws_route53_record" "mail_from_mx" {
  for_each = local.mail

  zone_id = local.zone_id
  name    = each.value.mail_from
  type    = "MX"
  ttl     = 1800
  records = ["10 feedback-smtp.${local.aws_regions[each.key]}.amazonses.com"]
}

resource "aws_route53_record" "mail_from_spf" {
  for_each = local.mail

  zone_id = local.zone_id
  name    = each.value.mail_from
  type    = "TXT"
  ttl     = 1800
  records = ["v=spf1 include:amazonses.com -all"]
}

# Mail in our name that is not signed by us is to be refused.
resource "aws_route53_record" "dmarc" {
  zone_id = local.zone_id
  name    = "_dmarc.${var.global_domain_name}"
  type    = "TXT"
  ttl     = 1800
  records = ["v=DMARC1; p=reject; adkim=s; aspf=r"]
}
