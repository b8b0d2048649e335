"""The subjects written here, as a worker: `python -m benchmarks.peers.worker SUBJECT …`."""

import argparse
import json
import os
import time
import uuid
from collections.abc import Callable

from benchmarks.events import usage_check_event
from benchmarks.peers.protocol import ORG, PLENTY, USERS, Subject, serve
from cutlass.functions import usage_check
from cutlass.platform.local import base_environment, function_environment
from cutlass.platform.wire import Wire
from cutlass.storage import open_store
from cutlass.storage.dynamo import (
    ConditionFailedError,
    Dynamo,
    TransactionFailedError,
    expression,
    put_of,
    update_of,
)

TABLE = "limits"
_SECONDS = 30.0
"""How long a call may take: what is measured is how long it does take."""


class Cutlass:
    """The handler of `POST /usage-check`, called with events as API Gateway makes them."""

    def __init__(self, options: argparse.Namespace) -> None:
        settings = function_environment(
            region=options.region,
            aws_region=options.aws_region,
            endpoint=options.endpoint,
            peers=options.peers,
        )
        os.environ.update(settings | {"CUTLASS_STORE_TIMEOUT_SECONDS": str(_SECONDS), "LOG_LEVEL": "WARNING"})
        self._home = options.region
        self._events = {user: usage_check_event(ORG, user) for user in USERS}

    def prepare(self, cap: int | None) -> None:
        """Found the organisation; the contracts say what its plan includes."""
        organisations = open_store().organisations
        organisations.put(ORG, plan="enterprise" if cap is None else "basic", home_region=self._home)
        for user in USERS:
            organisations.put_user(ORG, user, limits={})

    def decide(self, user: str) -> bool:
        """Ask the handler, and read its answer."""
        answer = usage_check.handler(self._events[user], None)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{answer['statusCode']} {answer['body']}")
        return bool(json.loads(answer["body"])["allowed"])


class SharedCounter:
    """One conditional counter for the whole organisation: no user limits, no request ids, no ledger."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._wire = Wire(options.endpoint, options.aws_region)
        self._dynamo = Dynamo(options.aws_region, endpoint=options.endpoint, timeout_seconds=_SECONDS)

    def prepare(self, cap: int | None) -> None:
        """Make the table and the counter."""
        keys = {"pk": "HASH", "sk": "RANGE"}
        self._wire.call(
            "dynamodb",
            "CreateTable",
            {
                "TableName": TABLE,
                "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
                "BillingMode": "PAY_PER_REQUEST",
            },
        )
        self._counter("organisation", ORG, PLENTY if cap is None else cap)

    def _counter(self, kind: str, name: str, limit: int) -> None:
        self._dynamo.put(TABLE, {"pk": f"{kind}#{name}", "sk": "counter", "used": 0, "most": limit})

    def decide(self, user: str) -> bool:  # noqa: ARG002 (all users share it)
        """Add one, if there is one left."""
        try:
            self._dynamo.update(TABLE, f"organisation#{ORG}", "counter", _ONE_MORE)
        except ConditionFailedError:
            return False
        return True


class Transactions(SharedCounter):
    """One transaction: the user's counter, the organisation's, and an item that remembers the request."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self._way_seconds = options.delay_ms / 2000

    def prepare(self, cap: int | None) -> None:
        """Make the counters of the organisation and its users."""
        super().prepare(cap)
        for user in USERS:
            self._counter("user", user, PLENTY)

    def decide(self, user: str) -> bool:
        """Count all or nothing, after the way to the home region and before the way back."""
        time.sleep(self._way_seconds)
        counters = ("organisation#" + ORG, "user#" + user)
        writes = [update_of(TABLE, pk, "counter", _ONE_MORE) for pk in counters]
        request = {"pk": f"request#{uuid.uuid4().hex}", "sk": "request", "user": user, "at": time.time_ns()}
        try:
            self._dynamo.transact([*writes, put_of(TABLE, request)])
        except TransactionFailedError:
            return False
        finally:
            time.sleep(self._way_seconds)
        return True


_ONE_MORE = expression("SET #used = #used + :one", "#used < most", one=1)

SUBJECTS: dict[str, Callable[[argparse.Namespace], Subject]] = {
    "cutlass": Cutlass,
    "transactions": Transactions,
    "shared-counter": SharedCounter,
}


def main() -> None:
    """Do what the command line asks for."""
    os.environ.update(base_environment())
    serve(lambda options: SUBJECTS[options.subject](options))


if __name__ == "__main__":
    main()
