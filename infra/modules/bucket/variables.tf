variable "name" {
  description = "The bucket's name."
  type        = string
}

variable "key_arn" {
  description = "The key that encrypts it, of the bucket's own region."
  type        = string
}

variable "destroy_with_objects" {
  description = "Whether Terraform may destroy the bucket while objects are in it."
  type        = bool
}

variable "expire_days" {
  description = "When objects are deleted, in days; null keeps them."
  type        = number
  default     = null
}

variable "glacier_days" {
  description = "When objects move to Glacier Instant Retrieval, in days; null leaves them where they are."
  type        = number
  default     = null
}

variable "scratch_prefix" {
  description = "What the keys of objects begin with that are deleted after a day; null for none."
  type        = string
  default     = null
}
