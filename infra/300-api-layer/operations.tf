# The operations of contracts/openapi.yaml, as API Gateway needs them.
locals {
  verbs = ["get", "head", "post", "put", "patch", "delete"]

  operations = merge([
    for path, item in local.contract.paths : {
      for verb, operation in item : operation.operationId => {
        path     = path
        verb     = verb
        function = operation["x-cutlass-function"]
        open     = length(operation.security) == 0

        parameters = [
          for parameter in concat(try(item.parameters, []), try(operation.parameters, [])) :
          try(local.contract.components.parameters[basename(parameter["$ref"])], parameter)
        ]

        # What an empty body means, the function knows: only where one is required is it held against its model.
        model = try(operation.requestBody.required, false) ? basename(operation.requestBody.content["application/json"].schema["$ref"]) : ""
      } if contains(local.verbs, verb)
    }
  ]...)

  unknown_functions = setsubtract([for operation in local.operations : operation.function], keys(local.functions))

  paths = {
    for path, item in local.contract.paths : path => {
      for id, operation in local.operations : operation.verb => merge(
        {
          operationId = id
          security    = operation.open ? [] : [{ caller = [], key = [] }]
          responses   = { "200" = { description = "As in contracts/openapi.yaml." } }

          parameters = [
            for parameter in operation.parameters : {
              name     = parameter.name
              in       = parameter.in
              required = try(parameter.required, false)
              schema   = { type = "string" }
            }
          ]

          x-amazon-apigateway-request-validator = operation.model == "" ? "parameters" : "all"
          x-amazon-apigateway-integration = {
            type                = "aws_proxy"
            httpMethod          = "POST"
            uri                 = try(local.functions[operation.function].invoke_arn, "")
            passthroughBehavior = "when_no_match"
            timeoutInMillis     = 29000
          }
        },
        {
          for name in compact([operation.model]) : "requestBody" => {
            required = true
            content  = { "application/json" = { schema = { "$ref" = "#/components/schemas/${name}" } } }
          }
        },
      ) if operation.path == path
    }
  }
}

# The models of request bodies. API Gateway reads JSON Schema draft 4: what that does not know is left out, and what may be
# null is not held to a type. The functions check all of it, and name the field.
locals {
  keywords = [
    "$ref", "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "items",
    "required", "additionalProperties",
  ]
  schemas = local.contract.components.schemas
  refers_to = {
    for name, schema in local.schemas :
    name => distinct(flatten(regexall("#/components/schemas/([A-Za-z0-9]+)", jsonencode(schema))))
  }

  # A body's model, those it names, and those these name: Terraform has no recursion, so the plan checks that it is enough.
  body_models  = compact(distinct([for operation in local.operations : operation.model]))
  named_models = distinct(flatten([for name in local.body_models : concat([name], local.refers_to[name])]))
  model_names  = distinct(flatten([for name in local.named_models : concat([name], local.refers_to[name])]))
  left_out     = setsubtract(flatten([for name in local.model_names : local.refers_to[name]]), local.model_names)

  models = {
    for name in local.model_names : name => merge(
      { for keyword, value in local.schemas[name] : keyword => value if contains(local.keywords, keyword) },
      {
        for keyword, properties in local.schemas[name] : keyword => {
          for property, schema in properties : property => {
            for inner, value in schema : inner => value
            if contains(local.keywords, inner) && !(try(schema.nullable, false) && contains(["type", "enum"], inner))
          }
        } if keyword == "properties"
      },
    )
  }
}
