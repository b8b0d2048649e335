"""From an alert's record to a delivered message: mails, webhooks, digests, and what comes back of them."""
