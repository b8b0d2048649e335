output "workspace" {
  description = "The workspace this state is of."
  value       = local.workspace

  precondition {
    condition     = length(local.unpacked) == 0
    error_message = <<-EOT
      There is no package of ${join(", ", local.unpacked)} in build/lambda/arm64. In the repository's folder:
        make setup
        .venv/bin/cutlass package
    EOT
  }
}

output "functions" {
  description = "The functions by the name of the contract: name, arn, alias, alias_arn, invoke_arn (the alias as API Gateway calls it)."
  value = {
    for name, function in aws_lambda_function.this : name => {
      name       = function.function_name
      arn        = function.arn
      alias      = aws_lambda_alias.live[name].name
      alias_arn  = aws_lambda_alias.live[name].arn
      invoke_arn = aws_lambda_alias.live[name].invoke_arn
    }
  }
}

output "queues" {
  description = "The queues of this layer by the name of the contract: name, arn, url. Those that are not here are made in layer 400."
  value       = module.queues.queues
}

output "roles" {
  description = "The names of the functions' roles by the name of the contract, for what later layers allow them."
  value       = { for name, role in aws_iam_role.function : name => role.name }
}
