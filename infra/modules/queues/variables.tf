variable "queues" {
  description = "The queues by name, dead-letter queues among them, as contracts/functions.yaml has them."
  type = map(object({
    retention_days             = number
    visibility_timeout_seconds = optional(number, 30)
    dead_letter                = optional(object({ queue = string, max_receives = number }))
  }))
}

variable "prefix" {
  description = "What the names begin with."
  type        = string
}

variable "workspace" {
  description = "What the names end with."
  type        = string
}

variable "arn_base" {
  description = "What the ARNs begin with, up to the account: arn:aws:sqs:REGION:ACCOUNT."
  type        = string
}

variable "key_arn" {
  description = "The key that encrypts the messages."
  type        = string
}

variable "topic_arns" {
  description = "By queue, the topic that may send to it."
  type        = map(string)
  default     = {}
}
