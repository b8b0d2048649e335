"""Least privilege, encryption and TLS in every plan; and the checks notice what they are there for."""

import json
from typing import Any

import pytest

from tests.infra import policies
from tests.infra.plans import Resource
from tests.infra.test_plans import EACH, plan


@pytest.mark.usefixtures("terraform")
@pytest.mark.parametrize(("layer", "workspace"), EACH)
def test_policies_allow_what_they_name_and_no_more(layer: str, workspace: str) -> None:
    resources = plan(layer, workspace).plan
    found = [problem for parts in policies.statements(resources) for problem in policies.too_wide(*parts)]
    assert not found + policies.hidden(resources), "\n".join(found + policies.hidden(resources))


@pytest.mark.usefixtures("terraform")
@pytest.mark.parametrize(("layer", "workspace"), EACH)
def test_data_is_encrypted_with_customer_keys_private_and_sent_over_tls_only(layer: str, workspace: str) -> None:
    resources = plan(layer, workspace).plan
    found = policies.unencrypted(resources) + policies.without_tls(resources) + policies.public(resources)
    assert not found, "\n".join(found)


def resource(kind: str, **values: Any) -> Resource:
    return Resource(f"{kind}.this", kind, {"id": "one"} | values, frozenset())


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::b"}, "s3:* is a wildcard"),
        ({"Action": ["s3:Get*"], "Resource": "arn:aws:s3:::b"}, "s3:Get* is a wildcard"),
        ({"Action": "s3:GetObject", "Resource": ["*"]}, "s3:GetObject takes an ARN"),
        ({"NotAction": "s3:GetObject", "Resource": "arn:aws:s3:::b"}, "NotAction"),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b", "Principal": "*"}, "without a condition"),
    ],
)
def test_a_policy_that_is_too_wide_is_noticed(statement: dict[str, Any], message: str) -> None:
    written = resource("aws_iam_role_policy", policy=json.dumps({"Statement": [{"Effect": "Allow"} | statement]}))
    found = [problem for parts in policies.statements([written]) for problem in policies.too_wide(*parts)]
    assert len(found) == 1
    assert message in found[0]


def test_a_wide_denial_and_actions_without_arn_are_let_pass() -> None:
    statements = [
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Principal": "*"},
        {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
    ]
    written = resource("aws_iam_role_policy", policy=json.dumps({"Statement": statements}))
    assert not [problem for parts in policies.statements([written]) for problem in policies.too_wide(*parts)]


def test_a_policy_that_is_not_known_is_noticed() -> None:
    unknown = Resource("aws_iam_role_policy.this", "aws_iam_role_policy", {}, frozenset({"policy"}))
    assert len(policies.hidden([unknown])) == 1


@pytest.mark.parametrize(
    "bare",
    [
        resource("aws_s3_bucket"),
        resource("aws_sqs_queue", kms_master_key_id="alias/aws/sqs"),
        resource("aws_cloudwatch_log_group", kms_key_id=None),
        resource("aws_dynamodb_table", server_side_encryption=[], replica=[]),
        resource(
            "aws_dynamodb_table",
            server_side_encryption=[{"kms_key_arn": "arn:aws:kms:eu-west-2:1:key/k"}],
            replica=[{"kms_key_arn": None}],
        ),
    ],
    ids=["bucket", "queue", "log group", "table", "replica"],
)
def test_what_lacks_a_customer_key_is_noticed(bare: Resource) -> None:
    assert len(policies.unencrypted([bare])) == 1


@pytest.mark.parametrize("kind", policies.TLS_POLICIES)
def test_what_answers_over_http_is_noticed(kind: str) -> None:
    assert policies.without_tls([resource(kind)]) == [f"{kind}.this answers over plain HTTP"]


def test_a_bucket_that_may_become_public_is_noticed() -> None:
    assert policies.public([resource("aws_s3_bucket")]) == ["aws_s3_bucket.this may become public"]
