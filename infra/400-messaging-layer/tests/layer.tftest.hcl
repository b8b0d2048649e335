# In this folder: TF_WORKSPACE=dev-london terraform test -var-file=vars/dev-london.tfvars
mock_provider "aws" {
  source          = "../shared/mocks"
  override_during = plan

  mock_resource "aws_sesv2_email_identity" {
    defaults = {
      dkim_signing_attributes = { tokens = ["one", "two", "three"] }
    }
  }
}

mock_provider "aws" {
  alias  = "home"
  source = "../shared/mocks"
}

override_data {
  target = data.terraform_remote_state.this
  values = {
    outputs = { workspace = "applied" }
  }
}

override_data {
  target = data.terraform_remote_state.this["network"]
  values = {
    outputs = {
      workspace = "applied"
      key_arns  = { messages = "arn:aws:kms:us-east-1:111111111111:key/messages" }
    }
  }
}

override_data {
  target = data.terraform_remote_state.this["compute"]
  values = {
    outputs = {
      workspace = "applied"
      functions = {
        stream-recovery = { alias_arn = "arn:aws:lambda:us-east-1:111111111111:function:recovery:live" }
        notifier        = { alias_arn = "arn:aws:lambda:us-east-1:111111111111:function:notifier:live" }
        webhook-sender  = { alias_arn = "arn:aws:lambda:us-east-1:111111111111:function:webhook-sender:live" }
        mail-events     = { alias_arn = "arn:aws:lambda:us-east-1:111111111111:function:mail-events:live" }
        report-worker   = { alias_arn = "arn:aws:lambda:us-east-1:111111111111:function:report-worker:live" }
      }
      queues = {
        stream-failures      = { name = "failures", arn = "arn:aws:sqs:us-east-1:111111111111:failures" }
        schedule-failures    = { name = "schedule-failures", arn = "arn:aws:sqs:us-east-1:111111111111:schedule-failures" }
        stream-failures-dead = { name = "failures-dead", arn = "arn:aws:sqs:us-east-1:111111111111:failures-dead" }
      }
    }
  }
}

override_resource {
  target          = aws_sns_topic.operators
  override_during = plan
  values = {
    id  = "arn:aws:sns:us-east-1:111111111111:operators"
    arn = "arn:aws:sns:us-east-1:111111111111:operators"
  }
}

override_resource {
  target          = aws_sns_topic.mail_events
  override_during = plan
  values = {
    id  = "arn:aws:sns:us-east-1:111111111111:mail-events"
    arn = "arn:aws:sns:us-east-1:111111111111:mail-events"
  }
}

run "messaging" {
  command = plan

  assert {
    condition     = sort(keys(output.queues)) == sort([for name in keys(local.contract.queues) : name if !contains(["schedule-failures", "stream-failures", "stream-failures-dead"], name)])
    error_message = "This layer makes the queues of the contract, but those that 200 makes for what fails there."
  }

  assert {
    condition     = alltrue([for name, queue in output.queues : queue.name == "cutlass-tech-${name}-${terraform.workspace}"])
    error_message = "Queues are named after the contract and the workspace."
  }

  assert {
    condition = keys(aws_lambda_event_source_mapping.queue) == [
      "mail-events-on-mail-events",
      "notifier-on-notifications",
      "report-worker-on-reports",
      "stream-recovery-on-stream-failures",
      "webhook-sender-on-webhooks",
    ]
    error_message = "Every queue a function names starts it, and no other does."
  }

  assert {
    condition = alltrue([
      for mapping in aws_lambda_event_source_mapping.queue :
      mapping.function_response_types == toset(["ReportBatchItemFailures"]) && endswith(mapping.function_name, ":live")
    ])
    error_message = "Queues start the alias, and a message that fails comes again without those beside it."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.queue["stream-recovery-on-stream-failures"].event_source_arn == "arn:aws:sqs:us-east-1:111111111111:failures" &&
      aws_lambda_event_source_mapping.queue["stream-recovery-on-stream-failures"].batch_size == 1 &&
      one(aws_lambda_event_source_mapping.queue["stream-recovery-on-stream-failures"].scaling_config).maximum_concurrency == 2
    )
    error_message = "Batch, window and concurrency are those of the contract, and the queue of layer 200 is found."
  }

  assert {
    condition     = sort(keys(aws_cloudwatch_metric_alarm.dead_letters)) == sort([for name in keys(local.contract.queues) : name if endswith(name, "-dead")])
    error_message = "A message in any dead-letter queue raises an alarm, in those of layer 200 too."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.oldest_message["webhooks"].threshold == 43200 && aws_cloudwatch_metric_alarm.oldest_message["stream-failures"].threshold == 900
    error_message = "How old a message may get is in the contract; a quarter of an hour unless it says otherwise."
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.oldest_message), values(aws_cloudwatch_metric_alarm.dead_letters), values(aws_cloudwatch_metric_alarm.reputation)) :
      alarm.alarm_actions == toset(["arn:aws:sns:${var.aws_region}:${var.aws_account_id}:${aws_sns_topic.operators.name}"]) && endswith(alarm.alarm_name, terraform.workspace)
    ])
    error_message = "Every alarm is named after the workspace, and tells the operators."
  }

  assert {
    condition     = toset(keys(aws_sns_topic_subscription.operators)) == var.operator_emails
    error_message = "Everyone in operator_emails is subscribed."
  }

  assert {
    condition = (
      aws_sesv2_email_identity.this.email_identity == var.global_domain_name &&
      aws_sesv2_email_identity.this.configuration_set_name == "cutlass-tech-mail-${terraform.workspace}" &&
      output.mail.mail_from == "bounce-${var.region}.${var.global_domain_name}"
    )
    error_message = "Mail comes from the global domain, with the region's own configuration and return address."
  }

  assert {
    condition = (
      one(aws_sesv2_configuration_set.this.delivery_options).tls_policy == "REQUIRE" &&
      one(aws_sesv2_configuration_set.this.suppression_options).suppressed_reasons == tolist(["BOUNCE", "COMPLAINT"])
    )
    error_message = "Mail is sent over TLS only, and not to addresses that bounced or complained."
  }

  assert {
    condition     = one(aws_sesv2_configuration_set_event_destination.this.event_destination).matching_event_types == toset(["BOUNCE", "COMPLAINT", "REJECT", "RENDERING_FAILURE"])
    error_message = "Bounces, complaints and mail that could not be made or sent are told."
  }

  assert {
    condition     = aws_ses_template.this["threshold-crossed"].name == "cutlass-tech-threshold-crossed-${terraform.workspace}" && strcontains(aws_ses_template.this["threshold-crossed"].html, "{{threshold}}")
    error_message = "Every mail of contracts/emails is a template, with its variables for SES to fill in."
  }
}
