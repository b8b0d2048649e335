"""The peer zae-limiter (PyPI): one `acquire` of a user's token bucket, which cascades to the organisation's.

It is measured in a process of its own, by any Python that has it: `python -m benchmarks.zae --help`. What it
answers is a rate limit without a ledger, in one region; its table has four global indexes.
"""

import argparse
import json
import subprocess
import sys
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load import Call, Round, run

SUBJECT = "zae-limiter cascade"
NOT_INSTALLED = 3
"""The exit code where zae-limiter cannot be imported."""

_PLENTY = 10**9
_USERS = 64
_COUNTED = 200


def run_elsewhere(
    python: str, *, endpoint: str, aws_region: str, clients: int, seconds: float
) -> tuple[Round, dict[str, Any]] | None:
    """Run one round by another Python; None where that one has no zae-limiter.

    Returns the round and what one acquire asks of DynamoDB.
    """
    command = [python, "-m", "benchmarks.zae", "--endpoint", endpoint, "--region", aws_region]
    command += ["--clients", str(clients), "--seconds", str(seconds)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=False)
    if done.returncode == NOT_INSTALLED:
        return None
    done.check_returncode()
    result = json.loads(done.stdout)
    return Round(**result["round"]), result["cost"]


def main() -> None:
    """Run a round, and print it and the cost as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zae", description=__doc__)
    parser.add_argument("--endpoint", required=True, help="address of the engine")
    parser.add_argument("--region", required=True, help="AWS's name of the region")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    try:
        import zae_limiter  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 (optional)
    except ImportError:
        sys.exit(NOT_INSTALLED)
    warnings.simplefilter("ignore")
    repository = zae_limiter.SyncRepository("benchmark", region=options.region, endpoint_url=options.endpoint)
    client = repository._get_client()  # it offers no other way to count its requests
    repository.create_table()
    client.get_waiter("table_exists").wait(TableName=repository.table_name)
    limiter = zae_limiter.SyncRateLimiter(repository=repository)
    limits = [zae_limiter.Limit.per_minute("requests", _PLENTY)]
    limiter.set_resource_defaults("requests", limits)  # also those of the organisation
    with suppress(zae_limiter.EntityExistsError):  # by an earlier round
        limiter.create_entity("org")
        for number in range(_USERS):
            limiter.create_entity(f"user{number}", parent_id="org", cascade=True)
    for turn in range(_USERS):  # an entity's first one is another matter
        _caller(limiter, limits, turn)()
    calls = [_caller(limiter, limits, number) for number in range(options.clients)]
    measured = run(calls, options.seconds)
    json.dump({"round": asdict(measured), "cost": _cost(client, calls[0])}, sys.stdout)


def _caller(limiter: Any, limits: list[Any], number: int) -> Call:
    turn = number

    def call() -> None:
        nonlocal turn
        turn += 1
        entity = f"user{turn % _USERS}"
        with limiter.acquire(entity_id=entity, resource="requests", consume={"requests": 1}, limits=limits):
            pass

    return call


def _cost(client: Any, call: Call) -> dict[str, Any]:
    """Count requests and write units of a steady acquire."""
    requests: Counter[str] = Counter()
    units = 0.0

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def add(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        nonlocal units
        requests[model.name] += 1
        consumed = parsed.get("ConsumedCapacity") or []
        units += sum(c["CapacityUnits"] for c in (consumed if isinstance(consumed, list) else [consumed]))

    client.meta.events.register("provide-client-params.dynamodb", ask)
    client.meta.events.register("after-call.dynamodb", add)
    for _ in range(_COUNTED):
        call()
    return {
        "requests": {name: round(count / _COUNTED, 3) for name, count in requests.items()},
        "write_units": round(units / _COUNTED, 3),
    }


if __name__ == "__main__":
    main()
