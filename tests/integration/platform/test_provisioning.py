"""Tables, queues and user pools: made once, found again."""

import base64
import json
from typing import Any

from botocore.credentials import Credentials

from cutlass.contracts import load_queues, load_tables, load_topology
from cutlass.platform.home import read_json, write_json
from cutlass.platform.local import ACCOUNT
from cutlass.platform.provision import SERVICE_SCOPES, issuer, provision
from cutlass.platform.tokens import member_token, new_service_token, service_token
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.issuers import Issuers
from tests.integration.platform.emulators import Emulator
from tests.support.permissions import acting


def inventory(emulator: Emulator) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for region, wire in emulator.wires().items():
        names = wire.call("dynamodb", "ListTables", {})["TableNames"]
        found[region] = {
            "tables": {
                name: wire.call("dynamodb", "DescribeTable", {"TableName": name})["Table"]["LatestStreamArn"]
                for name in names
                if name.startswith("cutlass-tech-")
            },
            "queues": wire.call("sqs", "ListQueues", {}).get("QueueUrls"),
            "pools": wire.call("cognito", "ListUserPools", {"MaxResults": 60})["UserPools"],
        }
    return found


def test_doing_it_twice_changes_nothing(emulator: Emulator) -> None:
    pools = provision(emulator.endpoint, emulator.home)
    first, secrets = inventory(emulator), read_json(emulator.home.secrets_file)
    assert provision(emulator.endpoint, emulator.home) == pools
    assert inventory(emulator) == first
    assert read_json(emulator.home.secrets_file) == secrets
    for region, found in first.items():
        assert set(found["tables"]) == {table.resource("dev") for table in load_tables().values()}
        names = {url.rpartition("/")[2] for url in found["queues"]}
        assert names >= {queue.resource("dev", region) for queue in load_queues().values()}
        assert [pool["Name"] for pool in found["pools"]] == [f"cutlass-tech-users-dev-{region}"]


def test_tables_expire_items(emulator: Emulator) -> None:
    provision(emulator.endpoint, emulator.home)
    for wire in emulator.wires().values():
        for table in load_tables().values():
            name = {"TableName": table.resource("dev")}
            described = wire.call("dynamodb", "DescribeTimeToLive", name)["TimeToLiveDescription"]
            assert (described["AttributeName"], described["TimeToLiveStatus"]) == ("ttl", "ENABLED")


def claims(jwt: str) -> dict[str, Any]:
    payload = jwt.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return decoded


def test_a_services_token_has_every_scope_and_a_members_its_organisation(emulator: Emulator) -> None:
    home, endpoint = emulator.home, emulator.endpoint
    pools = provision(endpoint, home)
    known = {found.name: found for found in map(issuer, pools.values())}
    for region in ("london", "sydney"):
        service = claims(new_service_token(home, endpoint, region).jwt)
        assert set(service["scope"].split()) == set(SERVICE_SCOPES)
        assert service["client_id"] in known[service["iss"]].clients
        for role in ("member", "admin"):  # the same person, promoted
            made = member_token(home, endpoint, region, org_id="org456", user_id="test123", role=role)
            member = claims(made.jwt)
            assert (member["custom:org_id"], member["custom:role"]) == ("org456", role)
            assert member["aud"] in known[member["iss"]].clients
            assert member["exp"] == made.expires


def test_each_region_tells_of_its_own_user_pool(own_emulator: Emulator) -> None:
    pools = provision(own_emulator.endpoint, own_emulator.home)
    regions = load_topology().regions
    for region, facts in regions.items():
        dynamo = Dynamo(
            facts.aws_region, endpoint=own_emulator.endpoint, credentials=Credentials(ACCOUNT, "local")
        )
        with acting("authorizer", region):
            found = Issuers(dynamo, "cutlass-tech-organisations-dev", regions).read()
        # The other's comes with the replicator, which does not run here.
        assert found == {issuer(pools[region]).name: issuer(pools[region])}


def test_the_commands_own_token_is_kept_while_it_is_good(emulator: Emulator) -> None:
    home, endpoint = emulator.home, emulator.endpoint
    provision(endpoint, home)
    first = service_token(home, endpoint, "london")
    assert service_token(home, endpoint, "london") == first
    assert home.tokens_file.stat().st_mode & 0o777 == 0o600
    kept = read_json(home.tokens_file)
    write_json(home.tokens_file, {"london": kept["london"] | {"endpoint": "http://127.0.0.1:1"}})
    assert service_token(home, endpoint, "london") != first, "a token of another platform was used"
