output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace
}

output "queues" {
  description = "The queues of this layer by name, dead-letter queues among them: name, arn, url."
  value       = module.queues.queues
}

output "operators_topic_arn" {
  description = "Where alarms go. Everyone in operator_emails who has confirmed gets them."
  value       = aws_sns_topic.operators.arn
}

output "mail" {
  description = "How mail goes out here: identity (the domain), configuration_set, and for DNS dkim_tokens and mail_from."
  value = {
    identity          = aws_sesv2_email_identity.this.email_identity
    configuration_set = aws_sesv2_configuration_set.this.configuration_set_name
    dkim_tokens       = aws_sesv2_email_identity.this.dkim_signing_attributes[0].tokens
    mail_from         = local.mail_from
  }
}
