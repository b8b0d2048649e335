terraform {
  # 1.11 locks state in S3 itself and lets tests give computed values while planning.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    # Pinned exactly: a lock file would name a registry, and this repository has to be usable from a mirror.
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }

    # Built in; reads the variable files of the other workspaces.
    terraform = {
      source = "terraform.io/builtin/terraform"
    }
  }
}
