"""Lays into the emulator what a region has: tables, queues, mails, buckets, pools. Twice changes nothing."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutlass.contracts import Queue, Table, load_emails, load_queues, load_tables, load_topology
from cutlass.platform.buckets import ensure_buckets
from cutlass.platform.errors import AwsError, PlatformError
from cutlass.platform.home import Home, read_json, write_json
from cutlass.platform.local import ENVIRONMENT, MAIL_DOMAIN
from cutlass.platform.queues import queue_arn, queue_attributes
from cutlass.platform.wire import Wire
from cutlass.storage import keys
from cutlass.storage.codec import encode_item
from cutlass.storage.issuers import Issuer, issuer_item

SCOPES: Mapping[str, tuple[str, ...]] = {
    "usage": ("check", "read"),
    "credits": ("write",),
    "reports": ("write",),
    "admin": ("all",),
}
"""Resource servers of the user pools, with their scopes."""

SERVICE_SCOPES = tuple(f"{server}/{scope}" for server, scopes in SCOPES.items() for scope in scopes)

_READY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pool:
    """A region's user pool, with the clients that give tokens."""

    region: str
    pool_id: str
    service_client: str
    service_secret: str
    web_client: str


def provision(endpoint: str, home: Home) -> dict[str, Pool]:
    """Make what is missing in every region and return the user pools; secrets go to the home folder.

    As in AWS, each region tells of its user pool in its own table; the replicator carries that to the others.

    Raises
    ------
    PlatformError
        The emulator refused something, or did not answer.
    """
    pools: dict[str, Pool] = {}
    for region in load_topology().regions.values():
        wire = Wire(endpoint, region.aws_region)
        for table in load_tables().values():
            ensure_table(wire, table)
        ensure_queues(wire, load_queues(), region.name)
        ensure_mail(wire, region.name)
        pools[region.name] = pool = ensure_pool(wire, region.name)
        item = encode_item(issuer_item(region.name, issuer(pool)))
        organisations = load_tables()[keys.ORGANISATIONS].resource(ENVIRONMENT)
        wire.call("dynamodb", "PutItem", {"TableName": organisations, "Item": item})
    ensure_buckets(endpoint, load_topology().regions)
    _keep_secrets(home, pools)
    return pools


def issuer(pool: Pool) -> Issuer:
    """Return what a pool's tokens say of their origin, and which clients' tokens are accepted."""
    host = f"cognito-idp.{load_topology().regions[pool.region].aws_region}.amazonaws.com"
    return Issuer(f"https://{host}/{pool.pool_id}", frozenset({pool.service_client, pool.web_client}))


def ensure_table(wire: Wire, table: Table) -> None:
    """Make the table, with its stream and its time to live, unless it is there."""
    name = table.resource(ENVIRONMENT)
    try:
        wire.call("dynamodb", "DescribeTable", {"TableName": name})
    except AwsError as error:
        if error.aws_code != "ResourceNotFoundException":
            raise
    else:
        return
    keys = {"pk": "HASH", "sk": "RANGE"}
    stream: dict[str, Any] = {"StreamEnabled": False}
    if table.stream is not None:
        stream = {"StreamEnabled": True, "StreamViewType": table.stream.value}
    wire.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
            "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": stream,
        },
    )
    _wait_until_active(wire, name)
    ttl = {"AttributeName": "ttl", "Enabled": True}
    wire.call("dynamodb", "UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": ttl})


def _wait_until_active(wire: Wire, name: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if wire.call("dynamodb", "DescribeTable", {"TableName": name})["Table"]["TableStatus"] == "ACTIVE":
            return
        time.sleep(0.05)
    raise PlatformError(f"the table {name} did not become active in {_READY_SECONDS:.0f} s")


def ensure_queues(wire: Wire, queues: Mapping[str, Queue], region: str) -> dict[str, str]:
    """Make the queues or bring them up to date, dead-letter queues first; return their addresses by name."""
    ordered = sorted(queues.values(), key=lambda queue: queue.dead_letter is not None)
    return {queue.name: ensure_queue(wire, queue, region, queues) for queue in ordered}


def ensure_queue(wire: Wire, queue: Queue, region: str, queues: Mapping[str, Queue] | None = None) -> str:
    """Make the queue or give it the attributes it should have, and return its address.

    Parameters
    ----------
    queues : mapping of str to Queue, optional
        Where its dead-letter queue, which must be there, is found by name.
    """
    name = queue.resource(ENVIRONMENT, region)
    wanted = {
        "MessageRetentionPeriod": str(queue.retention_days * 86_400),
        "VisibilityTimeout": str(queue.visibility_timeout_seconds),
        "RedrivePolicy": "",
    }
    if queue.dead_letter is not None:
        dead = (queues or {})[queue.dead_letter.queue].resource(ENVIRONMENT, region)
        policy = {
            "deadLetterTargetArn": queue_arn(dead, wire.aws_region),
            "maxReceiveCount": queue.dead_letter.max_receives,
        }
        wanted["RedrivePolicy"] = json.dumps(policy)
    try:
        address = str(wire.call("sqs", "GetQueueUrl", {"QueueName": name})["QueueUrl"])
    except AwsError as error:
        if not error.aws_code.endswith(("QueueDoesNotExist", "NonExistentQueue")):
            raise
        given = {key: value for key, value in wanted.items() if value}
        return str(wire.call("sqs", "CreateQueue", {"QueueName": name, "Attributes": given})["QueueUrl"])
    found = queue_attributes(wire, address, *wanted)
    changed = {key: value for key, value in wanted.items() if found.get(key, "") != value}
    if changed:
        wire.call("sqs", "SetQueueAttributes", {"QueueUrl": address, "Attributes": changed})
    return address


def ensure_mail(wire: Wire, region: str) -> None:
    """Make the domain that mail comes from and the mails of the contract, or bring them up to date."""
    try:
        wire.rest("ses", "POST", "/v2/email/identities", {"EmailIdentity": MAIL_DOMAIN})
    except AwsError as error:
        if error.aws_code != "AlreadyExistsException":
            raise
    for email in load_emails().values():
        name = email.resource(ENVIRONMENT, region)
        content = {"TemplateContent": {"Subject": email.subject, "Html": email.html, "Text": email.text}}
        try:
            wire.rest("ses", "POST", "/v2/email/templates", {"TemplateName": name} | content)
        except AwsError as error:
            if error.aws_code != "AlreadyExistsException":
                raise
            wire.rest("ses", "PUT", f"/v2/email/templates/{name}", content)


def ensure_pool(wire: Wire, region: str) -> Pool:
    """Make the region's user pool, its scopes and its clients, unless they are there."""
    name = f"cutlass-tech-users-{ENVIRONMENT}-{region}"
    pools = wire.call("cognito", "ListUserPools", {"MaxResults": 60})["UserPools"]
    pool_id = next((pool["Id"] for pool in pools if pool["Name"] == name), None) or _create_pool(wire, name)
    present = wire.call("cognito", "ListResourceServers", {"UserPoolId": pool_id, "MaxResults": 50})
    identifiers = {server["Identifier"] for server in present["ResourceServers"]}
    for server, scopes in SCOPES.items():
        if server not in identifiers:
            described = [{"ScopeName": scope, "ScopeDescription": f"{server} {scope}"} for scope in scopes]
            wire.call(
                "cognito",
                "CreateResourceServer",
                {"UserPoolId": pool_id, "Identifier": server, "Name": server, "Scopes": described},
            )
    service = _ensure_client(
        wire,
        pool_id,
        "service",
        {
            "GenerateSecret": True,
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["client_credentials"],
            "AllowedOAuthScopes": list(SERVICE_SCOPES),
        },
    )
    web = _ensure_client(
        wire, pool_id, "web", {"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]}
    )
    return Pool(region, pool_id, service["ClientId"], service["ClientSecret"], web["ClientId"])


def _create_pool(wire: Wire, name: str) -> str:
    attributes = [
        {"Name": attribute, "AttributeDataType": "String", "Mutable": True} for attribute in ("org_id", "role")
    ]
    answer = wire.call("cognito", "CreateUserPool", {"PoolName": name, "Schema": attributes})
    return str(answer["UserPool"]["Id"])


def _ensure_client(wire: Wire, pool_id: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    listed = wire.call("cognito", "ListUserPoolClients", {"UserPoolId": pool_id, "MaxResults": 60})
    for client in listed["UserPoolClients"]:
        if client["ClientName"] == name:
            found = {"UserPoolId": pool_id, "ClientId": client["ClientId"]}
            answer = wire.call("cognito", "DescribeUserPoolClient", found)
            break
    else:
        wanted = {"UserPoolId": pool_id, "ClientName": name} | settings
        answer = wire.call("cognito", "CreateUserPoolClient", wanted)
    described: dict[str, Any] = answer["UserPoolClient"]
    return described


def _keep_secrets(home: Home, pools: Mapping[str, Pool]) -> None:
    kept = read_json(home.secrets_file) or {}
    write_json(
        home.secrets_file,
        {
            "password_key": kept.get("password_key") or secrets.token_hex(32),
            "pools": {
                name: {
                    "pool_id": pool.pool_id,
                    "service_client": pool.service_client,
                    "service_secret": pool.service_secret,
                    "web_client": pool.web_client,
                }
                for name, pool in pools.items()
            },
        },
    )
