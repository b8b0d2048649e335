"""What was deployed does its work: tables, functions, the interface and the queues, in both regions."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from cutlass.api.gateway_keys import key_name, plan_name
from cutlass.contracts import load_tables, load_topology
from cutlass.platform.wire import Wire
from tests.deploy.calls import client, invoke, until
from tests.deploy.harness import Checkout
from tests.deploy.interface import Interface
from tests.deploy.messages import Messages
from tests.unit.functions.fakes import SERVICE, event

REGIONS = load_topology().regions
HOME, OTHER = list(REGIONS)[:2]

pytestmark = pytest.mark.timeout(600)


def test_a_deployment_passes_the_checks_of_a_caller(checkout: Checkout) -> None:
    addresses = []
    for region in REGIONS:
        api = checkout.output(f"dev-{region}/300", "api")
        url = f"{checkout.endpoint}/_aws/execute-api/{api['id']}/{api['stage']}"
        addresses += ["--url", f"{region}={url}"]
    done = checkout.run("smoke", "dev", *addresses)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 17


def test_what_london_wrote_can_be_read_in_sydney(checkout: Checkout, endpoint: str) -> None:
    for table in load_tables().values():
        key = {"pk": {"S": f"{HOME}#1"}, "sk": {"S": "1"}}
        name = f"cutlass-tech-{table.name}-dev"
        Wire(endpoint, REGIONS[HOME].aws_region).call("dynamodb", "PutItem", {"TableName": name, "Item": key})
        read = {"TableName": name, "Key": key}
        found = Wire(endpoint, REGIONS[OTHER].aws_region).call("dynamodb", "GetItem", read)
        assert found.get("Item") == key, f"{name} is not replicated"


def test_each_region_encrypts_its_replica_with_its_own_key(checkout: Checkout, endpoint: str) -> None:
    for region, facts in REGIONS.items():
        keys = checkout.output(f"dev-{region}/000", "key_arns")
        for table in load_tables().values():
            asked = {"TableName": f"cutlass-tech-{table.name}-dev"}
            told = Wire(endpoint, facts.aws_region).call("dynamodb", "DescribeTable", asked)["Table"]
            assert told["SSEDescription"]["KMSMasterKeyArn"] == keys["tables"], f"{table.name} in {region}"  # type: ignore[index]


@pytest.mark.parametrize("region", REGIONS)
def test_a_deployed_function_decides_on_the_deployed_table_and_its_stream_is_metered(
    checkout: Checkout, endpoint: str, region: str
) -> None:
    org = f"org-{region}"

    def call(function: str, *request: Any) -> dict[str, Any]:
        answer = invoke(endpoint, region, function, event(*request, caller=SERVICE))
        assert answer["statusCode"] in {200, 201}, answer
        body: dict[str, Any] = json.loads(answer["body"])
        return body

    call("organisations", "PUT", f"/orgs/{org}", {"plan": "basic", "home_region": HOME})
    call("users", "PUT", f"/orgs/{org}/users/ann", {"limits": {"requests": 2}})
    asked = {"org_id": org, "user_id": "ann"}
    decisions = [call("usage-check", "POST", "/usage-check", asked) for _ in range(3)]
    assert [decision["region"] for decision in decisions] == [region] * 3
    # A user's limit is divided too: the region that is not home has less of it, or none until more has come.
    allowed = sum(decision["allowed"] for decision in decisions)
    assert 1 <= allowed <= 2, decisions

    table = "cutlass-tech-usage-credits-dev"
    kept = client("dynamodb", endpoint, region).query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{region}#{org}#ann#allotments"}},
    )
    assert kept["Count"] == 1, "the decision left no allotment in its own region's name"

    def entries() -> list[Any]:
        page = call("ledger", "GET", f"/orgs/{org}/ledger")
        return [entry for entry in page["items"] if entry.get("user_id") == "ann" and entry["kind"] == "decision"]

    assert until(entries)[0]["region"] == region


@pytest.fixture
def interfaces(checkout: Checkout, endpoint: str) -> dict[str, Interface]:
    """The interfaces of both regions, with an organisation of London's that both know."""
    found = {region: Interface.of(checkout, region) for region in REGIONS}
    london = found[HOME]
    token = london.service_token()
    organisation = {"plan": "basic", "home_region": HOME}
    assert london.call("PUT", "/orgs/org456", token, organisation).status in {200, 201}
    assert london.call("PUT", "/orgs/org456/users/test123", token, {"limits": {}}).status in {200, 201}
    return found


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("issued_in", REGIONS)
def test_a_decision_is_made_behind_the_deployed_gateway(
    interfaces: dict[str, Interface], region: str, issued_in: str
) -> None:
    token = interfaces[issued_in].service_token()
    asked = {"org_id": "org456", "user_id": "test123", "request_id": f"{issued_in}-in-{region}"}
    first, again = (interfaces[region].call("POST", "/usage-check", token, asked) for _ in range(2))
    assert (first.status, first.body["allowed"], first.body["region"]) == (200, True, region), first.body
    assert again.body == first.body | {"replayed": True}
    assert "RateLimit" in first.headers
    pk = f"{region}#org456#test123#allotments"
    found = client("dynamodb", interfaces[region].endpoint, region).query(
        TableName="cutlass-tech-usage-credits-dev",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
    )
    assert found["Count"] == 1, f"no allotment {pk} in the deployed table"


@pytest.mark.parametrize("region", REGIONS)
def test_the_deployed_gateway_lets_in_who_shows_a_valid_token(
    interfaces: dict[str, Interface], region: str
) -> None:
    gateway = interfaces[region]
    asked = {"org_id": "org456", "user_id": "test123"}
    for token in (None, "garbage", gateway.service_token() + "x"):
        refused = gateway.call("POST", "/usage-check", token, asked)
        assert (refused.status, refused.body["status"]) == (401, 401)
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert gateway.call("GET", "/health").status == 200
    assert gateway.call("GET", "/ready").status == 401
    assert gateway.call("GET", "/ready", gateway.service_token()).status == 200


def test_the_deployed_gateway_refuses_what_breaks_the_contract(interfaces: dict[str, Interface]) -> None:
    london = interfaces[HOME]
    token = london.service_token()
    for body in ({"org_id": "org456"}, {"org_id": "org456", "user_id": 1}, {"org_id": "a#b", "user_id": "u"}, []):
        refused = london.call("POST", "/usage-check", token, body)
        assert (refused.status, refused.body["status"]) == (400, 400), body
    assert london.call("GET", "/nothing", token).status == 404


@pytest.mark.parametrize("region", REGIONS)
def test_a_member_passes_with_the_organisations_key(
    interfaces: dict[str, Interface], endpoint: str, region: str
) -> None:
    gateway = interfaces[region]
    gateway_keys = client("apigateway", gateway.endpoint, region)
    plans = {plan["name"]: plan["id"] for plan in gateway_keys.get_usage_plans()["items"]}

    def inside() -> bool:
        basic = gateway_keys.get_usage_plan_keys(usagePlanId=plans[plan_name("basic", "dev", region)])
        return key_name("org456", "dev", region) in {key["name"] for key in basic["items"]}

    if region != HOME:
        # The emulator has no stream records of what it replicates: there the schedule does what the stream would.
        invoke(endpoint, region, "gateway-keys", {})
    until(inside)
    tokens = gateway.member_tokens(f"ann-{region}", "org456", "member")
    for kind in ("IdToken", "AccessToken"):
        assert gateway.call("GET", "/orgs/org456/balance", tokens[kind]).status == 200
        assert gateway.call("GET", "/orgs/org789/balance", tokens[kind]).status == 403
    stranger = gateway.member_tokens(f"eve-{region}", "org-without-key", "admin")
    assert gateway.call("GET", "/orgs/org-without-key/balance", stranger["IdToken"]).status == 403


def test_a_queues_message_reaches_its_function_and_a_poison_one_its_dead_letter_queue(endpoint: str) -> None:
    regions = [Messages(endpoint, region) for region in REGIONS]
    with ExitStack() as stack:
        for messages in regions:
            stack.enter_context(messages.hurried("stream-failures"))
            # First the poison: what comes after it is recovered all the same.
            messages.send("stream-failures", "poison")
            position = next(messages.positions("usage-credits"))  # of the decisions made before
            messages.send("stream-failures", messages.notice("rebalance", *position))
        for messages in regions:
            until(lambda messages=messages: messages.waiting("stream-failures") == 0)
            until(lambda messages=messages: messages.waiting("stream-failures-dead") > 0)
    for messages in regions:
        assert messages.bodies("stream-failures-dead") == ["poison"], messages.region
