"""What is wrong with the policies and the encryption of a plan."""

import json
from collections.abc import Iterator
from typing import Any

from tests.infra.plans import Resource

POLICY_ATTRIBUTES = ("policy", "assume_role_policy", "access_policy", "resource_policy")

ALWAYS_SET = {
    "aws_dynamodb_resource_policy": "policy",
    "aws_iam_policy": "policy",
    "aws_iam_role": "assume_role_policy",
    "aws_iam_role_policy": "policy",
    "aws_kms_key": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_sqs_queue": "policy",
    "aws_vpc_endpoint": "policy",
}
"""Where a policy has to be known while planning; on other types the attribute may be one AWS fills in."""

WITHOUT_RESOURCES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""Actions for which IAM takes no ARN, or which Lambda asks for on * before it puts a function into a network
(AWSLambdaVPCAccessExecutionRole)."""

Statement = dict[str, Any]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(plan: list[Resource]) -> Iterator[tuple[Resource, str, Statement]]:
    """Give each statement of each policy, with its resource and attribute."""
    for resource in plan:
        for attribute in POLICY_ATTRIBUTES:
            text = resource.values.get(attribute)
            if text and text.startswith("{"):  # the mocks fill in what AWS would, with a random word
                for statement in as_list(json.loads(text)["Statement"]):
                    yield resource, attribute, statement


def hidden(plan: list[Resource]) -> list[str]:
    """Return the policies no test can look into, because they are not known while planning."""
    return [
        f"{resource.address}.{ALWAYS_SET[resource.type]} is not known while planning: mock what it depends on"
        for resource in plan
        if resource.type in ALWAYS_SET
        and not str(resource.values.get(ALWAYS_SET[resource.type], "")).startswith("{")
    ]


def too_wide(resource: Resource, attribute: str, statement: Statement) -> list[str]:
    """Return what a statement allows beyond what can be said exactly. What it denies may be wide."""
    if statement["Effect"] != "Allow":
        return []
    where = f"{resource.address}.{attribute}, {statement.get('Sid', 'statement')}"
    wrong = [
        f"{where}: {word} allows whatever is not named"
        for word in ("NotAction", "NotResource", "NotPrincipal")
        if word in statement
    ]
    actions = as_list(statement.get("Action", []))
    wrong += [f"{where}: the action {action} is a wildcard" for action in actions if "*" in action]
    # In a key policy "*" is the key itself, in a trust policy there is no resource.
    if resource.type != "aws_kms_key" and "*" in as_list(statement.get("Resource", [])):
        exact = [action for action in actions if action not in WITHOUT_RESOURCES]
        wrong += [f"{where}: {action} takes an ARN, and is allowed on *" for action in exact]
    if statement.get("Principal") in ("*", {"AWS": "*"}) and "Condition" not in statement:
        wrong.append(f"{where}: everyone, without a condition")
    return wrong


def customer_key(value: object) -> bool:
    """Return whether this is the ARN of a key, and not of the one AWS manages."""
    return isinstance(value, str) and value.startswith("arn:aws:kms:") and ":key/" in value


KEY_ATTRIBUTES = {
    "aws_cloudwatch_log_group": "kms_key_id",
    "aws_sns_topic": "kms_master_key_id",
    "aws_sqs_queue": "kms_master_key_id",
}


def unencrypted(plan: list[Resource]) -> list[str]:
    """Return what keeps data without a customer key: tables, replicas, buckets, queues, topics, log groups."""
    wrong = []
    bucket_keys = {
        resource.values["bucket"]: rule["apply_server_side_encryption_by_default"][0].get("kms_master_key_id")
        for resource in plan
        if resource.type == "aws_s3_bucket_server_side_encryption_configuration"
        for rule in resource.values["rule"]
    }
    for resource in plan:
        keys: list[object] = []
        if resource.type == "aws_dynamodb_table":
            keys = [part.get("kms_key_arn") for part in resource.values["server_side_encryption"] or [{}]]
            keys += [replica.get("kms_key_arn") for replica in resource.values["replica"]]
        elif resource.type == "aws_s3_bucket":
            keys = [bucket_keys.get(resource.values["id"])]
        elif resource.type in KEY_ATTRIBUTES:
            keys = [resource.values.get(KEY_ATTRIBUTES[resource.type])]
        wrong += [
            f"{resource.address} is not encrypted with a customer key: {key}"
            for key in keys
            if not customer_key(key)
        ]
    return wrong


TLS_POLICIES = {
    "aws_s3_bucket": ("aws_s3_bucket_policy", "bucket"),
    "aws_sns_topic": ("aws_sns_topic_policy", "arn"),
    "aws_sqs_queue": ("aws_sqs_queue", "id"),
}


def without_tls(plan: list[Resource]) -> list[str]:
    """Return the buckets, queues and topics that would answer over plain HTTP."""
    refusing = {
        (resource.type, resource.values.get(reference))
        for resource, _, statement in statements(plan)
        for kind, reference in TLS_POLICIES.values()
        if resource.type == kind and refuses_plain_http(statement)
    }
    return [
        f"{resource.address} answers over plain HTTP"
        for resource in plan
        if resource.type in TLS_POLICIES
        and (TLS_POLICIES[resource.type][0], resource.values["id"]) not in refusing
    ]


def refuses_plain_http(statement: Statement) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") == "*"
        and as_list(statement["Action"])[0] in {"s3:*", "sqs:*", "sns:Publish"}  # a topic's policy takes no sns:*
        and condition == {"aws:SecureTransport": "false"}
    )


def public(plan: list[Resource]) -> list[str]:
    """Return the buckets that do not shut out the public in all four ways."""
    wanted = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    closed = {
        resource.values["bucket"]
        for resource in plan
        if resource.type == "aws_s3_bucket_public_access_block" and all(resource.values[name] for name in wanted)
    }
    return [
        f"{resource.address} may become public"
        for resource in plan
        if resource.type == "aws_s3_bucket" and resource.values["id"] not in closed
    ]
