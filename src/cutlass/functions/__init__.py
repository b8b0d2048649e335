"""The Lambda functions: one thin module each, named in `contracts/functions.yaml`."""
