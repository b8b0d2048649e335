"""What API Gateway does in front of the functions: routes, authorizer, validation, proxy events."""
