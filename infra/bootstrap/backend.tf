# The first apply makes the bucket for all state, so it cannot keep its own there yet. README.md says how it moves there.
terraform {
  backend "local" {}
}
