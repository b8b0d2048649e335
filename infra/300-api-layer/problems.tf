# What API Gateway answers by itself, as problem details (RFC 9457): the same types and titles as src/cutlass/api/problems.py.
locals {
  problem_base   = "https://cutlass.example/problems/"
  quota_exceeded = "https://iana.org/assignments/http-problem-types#quota-exceeded"

  problem_titles = {
    forbidden              = "Not allowed"
    gateway-timeout        = "No answer in time"
    internal-error         = "Something went wrong on our side"
    invalid-request        = "The request is not valid"
    not-found              = "There is no such thing"
    payload-too-large      = "The body is too large"
    quota-exceeded         = "The quota is used up"
    unauthenticated        = "A valid access token is needed"
    unavailable            = "The service cannot answer right now"
    unsupported-media-type = "The body must be JSON"
  }

  again  = "Send it again with the same request id."
  report = "Send it again with the same request id; should it fail again, report its X-Request-Id."
  broken = "The request failed for a reason that is not in the request."
  sign   = "Ask for a new token; this one is missing, expired or not ours."

  # By API Gateway's name of the case; `after` is the seconds to wait before the retry.
  problems = {
    ACCESS_DENIED                  = { status = 403, code = "forbidden", detail = "This token may not call this.", hint = null, after = null }
    API_CONFIGURATION_ERROR        = { status = 500, code = "internal-error", detail = local.broken, hint = local.report, after = null }
    AUTHORIZER_CONFIGURATION_ERROR = { status = 500, code = "internal-error", detail = local.broken, hint = local.report, after = null }
    AUTHORIZER_FAILURE             = { status = 503, code = "unavailable", detail = "The token cannot be checked right now.", hint = local.again, after = 1 }
    BAD_REQUEST_BODY               = { status = 400, code = "invalid-request", detail = "$context.error.validationErrorString", hint = null, after = null }
    BAD_REQUEST_PARAMETERS         = { status = 400, code = "invalid-request", detail = "$context.error.validationErrorString", hint = null, after = null }
    DEFAULT_4XX                    = { status = 400, code = "invalid-request", detail = "The gateway refused the request.", hint = null, after = null }
    DEFAULT_5XX                    = { status = 500, code = "internal-error", detail = local.broken, hint = local.report, after = null }
    EXPIRED_TOKEN                  = { status = 401, code = "unauthenticated", detail = "The token has expired.", hint = local.sign, after = null }
    INTEGRATION_FAILURE            = { status = 503, code = "unavailable", detail = "The function could not be called.", hint = local.again, after = 1 }
    INTEGRATION_TIMEOUT            = { status = 504, code = "gateway-timeout", detail = "The function did not answer in time.", hint = local.again, after = null }
    INVALID_API_KEY                = { status = 403, code = "forbidden", detail = "The token's organisation is not known here.", hint = "One that was made a moment ago will be within a minute: ask again.", after = null }
    INVALID_SIGNATURE              = { status = 401, code = "unauthenticated", detail = "There is no bearer token.", hint = local.sign, after = null }
    MISSING_AUTHENTICATION_TOKEN   = { status = 404, code = "not-found", detail = "There is no such route, or it does not have this method.", hint = null, after = null }
    QUOTA_EXCEEDED                 = { status = 429, code = "quota-exceeded", detail = "The plan's requests are used up.", hint = null, after = 60 }
    REQUEST_TOO_LARGE              = { status = 413, code = "payload-too-large", detail = "The body is larger than 65536 bytes.", hint = "Send less at once.", after = null }
    RESOURCE_NOT_FOUND             = { status = 404, code = "not-found", detail = "There is no such route, or it does not have this method.", hint = null, after = null }
    THROTTLED                      = { status = 429, code = "quota-exceeded", detail = "There are more requests at once than the plan allows.", hint = null, after = 1 }
    UNAUTHORIZED                   = { status = 401, code = "unauthenticated", detail = "There is no valid access token.", hint = local.sign, after = null }
    UNSUPPORTED_MEDIA_TYPE         = { status = 415, code = "unsupported-media-type", detail = "The body is not application/json.", hint = null, after = null }
    WAF_FILTERED                   = { status = 403, code = "forbidden", detail = "The firewall refused the request.", hint = null, after = null }
  }

  gateway_responses = {
    for name, problem in local.problems : name => {
      statusCode = tostring(problem.status)

      responseParameters = merge(
        {
          "gatewayresponse.header.Content-Type" = "'application/problem+json'"
          "gatewayresponse.header.X-Request-Id" = "context.requestId"
        },
        problem.status == 401 ? { "gatewayresponse.header.WWW-Authenticate" = "'Bearer realm=\"cutlass\"'" } : {},
        problem.after == null ? {} : { "gatewayresponse.header.Retry-After" = "'${problem.after}'" },
      )

      responseTemplates = {
        "application/json" = jsonencode({
          for key, value in {
            type        = problem.code == "quota-exceeded" ? local.quota_exceeded : "${local.problem_base}${problem.code}"
            title       = local.problem_titles[problem.code]
            status      = problem.status
            detail      = problem.detail
            hint        = problem.hint
            retry_after = problem.after
          } : key => value if value != null
        })
      }
    }
  }
}
