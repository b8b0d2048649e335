"""The queues and mails that are planned are those of the contracts."""

import json

import pytest

from cutlass.contracts import load_emails, load_queues
from tests.infra.plans import WORKSPACES, Resource
from tests.infra.test_plans import plan

LAYER = "400-messaging-layer"
WITH_QUEUES = ["200-compute-layer", LAYER]

pytestmark = pytest.mark.usefixtures("terraform")


def resources(workspace: str, kind: str, layer: str = LAYER) -> dict[str, Resource]:
    """Return a layer's resources of a type, by their key."""
    return {
        resource.address.partition('["')[2].removesuffix('"]'): resource
        for resource in plan(layer, workspace).plan
        if resource.type == kind
    }


@pytest.mark.parametrize("layer", WITH_QUEUES)
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_queues_are_those_of_the_contract(workspace: str, layer: str) -> None:
    contract = load_queues()
    for name, resource in resources(workspace, "aws_sqs_queue", layer).items():
        queue, values = contract[name], resource.values
        assert values["name"] == queue.resource(*workspace.split("-"))
        assert values["message_retention_seconds"] == queue.retention_days * 86_400
        assert values["visibility_timeout_seconds"] == queue.visibility_timeout_seconds
        if queue.dead_letter:  # for the others the mocks fill in a random word
            assert json.loads(values["redrive_policy"])["maxReceiveCount"] == queue.dead_letter.max_receives, name


@pytest.mark.parametrize("layer", WITH_QUEUES)
def test_only_the_queue_it_serves_may_put_messages_into_a_dead_letter_queue(layer: str) -> None:
    queues = resources("dev-london", "aws_sqs_queue", layer)
    serves = {queue.dead_letter.queue: name for name, queue in load_queues().items() if queue.dead_letter}
    dead = queues.keys() & serves.keys()
    assert dead
    for name in dead:
        policy = json.loads(queues[name].values["redrive_allow_policy"])
        assert policy == {"redrivePermission": "byQueue", "sourceQueueArns": [arn(serves[name])]}, name


def arn(queue: str) -> str:
    """Return a queue's ARN in dev-london."""
    return f"arn:aws:sqs:eu-west-2:111111111111:{load_queues()[queue].resource('dev', 'london')}"


@pytest.mark.parametrize("layer", WITH_QUEUES)
def test_a_queues_policy_is_about_that_queue(layer: str) -> None:
    for name, resource in resources("dev-london", "aws_sqs_queue", layer).items():
        statements = json.loads(resource.values["policy"])["Statement"]
        assert {statement["Resource"] for statement in statements} == {arn(name)}


def test_every_queue_is_made_in_one_layer() -> None:
    made = [name for layer in WITH_QUEUES for name in resources("dev-london", "aws_sqs_queue", layer)]
    assert sorted(made) == sorted(load_queues())


def test_mails_are_templates_as_the_contract_has_them() -> None:
    templates = resources("dev-sydney", "aws_ses_template")
    assert templates.keys() == load_emails().keys()
    for name, email in load_emails().items():
        values = templates[name].values
        assert (values["name"], values["subject"]) == (email.resource("dev", "sydney"), email.subject)
        assert (values["html"], values["text"]) == (email.html, email.text)


def test_only_the_topic_of_mail_events_may_send_to_a_queue() -> None:
    senders = {
        name: statement["Condition"]
        for name, resource in resources("dev-london", "aws_sqs_queue").items()
        for statement in json.loads(resource.values["policy"])["Statement"]
        if statement["Effect"] == "Allow"
    }
    topic = "arn:aws:sns:us-east-1:111111111111:mail-events"
    assert senders == {"mail-events": {"ArnEquals": {"aws:SourceArn": topic}}}
