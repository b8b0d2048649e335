# Mail goes out from the global domain in every region, with keys and a return address of the region's own: a region needs
# nothing of the others to send. Layer 900 puts the records into DNS.
locals {
  mail_from = "bounce-${var.region}.${var.global_domain_name}"
  templates = {
    for file in fileset("${path.module}/../../contracts/emails", "*.yaml") :
    trimsuffix(file, ".yaml") => yamldecode(file("${path.module}/../../contracts/emails/${file}"))
  }
}

resource "aws_sesv2_email_identity" "this" {
  email_identity         = var.global_domain_name
  configuration_set_name = aws_sesv2_configuration_set.this.configuration_set_name

  dkim_signing_attributes {
    next_signing_key_length = "RSA_2048_BIT"
  }
}

resource "aws_sesv2_email_identity_mail_from_attributes" "this" {
  email_identity         = aws_sesv2_email_identity.this.email_identity
  mail_from_domain       = local.mail_from
  behavior_on_mx_failure = "REJECT_MESSAGE"
}

# No more mail to addresses that bounced or complained.
resource "aws_sesv2_configuration_set" "this" {
  configuration_set_name = "${local.project}-mail-${local.workspace}"

  delivery_options {
    tls_policy = "REQUIRE"
  }

  reputation_options {
    reputation_metrics_enabled = true
  }

  sending_options {
    sending_enabled = true
  }

  suppression_options {
    suppressed_reasons = ["BOUNCE", "COMPLAINT"]
  }
}

resource "aws_sesv2_configuration_set_event_destination" "this" {
  configuration_set_name = aws_sesv2_configuration_set.this.configuration_set_name
  event_destination_name = "mail-events"

  event_destination {
    enabled              = true
    matching_event_types = ["BOUNCE", "COMPLAINT", "REJECT", "RENDERING_FAILURE"]

    sns_destination {
      topic_arn = aws_sns_topic.mail_events.arn
    }
  }

  depends_on = [aws_sns_topic_policy.this]
}

resource "aws_sns_topic_subscription" "mail_events" {
  topic_arn            = aws_sns_topic.mail_events.arn
  protocol             = "sqs"
  endpoint             = module.queues.queues["mail-events"].arn
  raw_message_delivery = true
}

resource "aws_ses_template" "this" {
  for_each = local.templates

  name    = "${local.project}-${each.key}-${local.workspace}"
  subject = each.value.subject
  html    = each.value.html
  text    = each.value.text
}
