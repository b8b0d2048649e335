"""What the functions' roles allow, enforced on a store as IAM would: by function, table, region and leading key.

Policies are made from `tables` and `peer_tables` of contracts/functions.yaml, and no emulator enforces them. So
what every function asks DynamoDB for is held against the contract where its parts run against a real engine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest

from cutlass.contracts import Access, load_functions, load_topology
from cutlass.storage import Store
from cutlass.storage.dynamo import Dynamo

ENTRIES = {
    "usage-check": ("decider.decide",),
    "reservations": ("reservations.reserve", "reservations.get", "reservations.commit", "reservations.release"),
    "reservation-sweeper": ("reservations.expire_overdue",),
    "balance": ("balances.organisation", "balances.user"),
    "usage": ("usage.page",),
    "ledger": ("ledger.page",),
    "grants": ("grants.page", "grants.create", "grants.void"),
    "organisations": ("organisations.put", "organisations.get"),
    "users": ("organisations.put_user", "organisations.get_user"),
    "refunds": ("refunds.create",),
    "health": ("ping", "fenced"),
    "meter": ("meter.record",),
    "rebalance": ("rebalancer.even_out_all", "rebalancer.pull_ahead"),
    "terms": (
        "keeper.apply_organisation",
        "keeper.apply_user",
        "keeper.apply_void",
        "keeper.apply_grant",
        "alert_dues.changed",
    ),
    "alerts": (
        "alert_settings.get",
        "alert_settings.put",
        "alert_settings.rotate",
        "alerts.history",
        "alerts.test",
    ),
    "alert-evaluator": ("alert_evaluator.record", "alert_rounds.run"),
    "compensator": ("compensation.compensate",),
    "housekeeping": ("housekeeping.run",),
    "heartbeat": ("usage.beat",),
    "reconcile": ("reconciliation.organisation",),
    "reports": (
        *("report_requests.request", "reports.get", "reports.page", "reports.cancel"),
        *("schedules.put", "schedules.get", "schedules.page", "schedules.delete"),
    ),
    "report-worker": ("reports.claim", "reports.beat", "reports.succeed", "reports.fail", "reports.retry"),
    "report-scheduler": ("schedules.run", "reports.sweep"),
}
"""By function: the parts of the store its handler calls. Some have no table; stream-recovery runs the handlers of
others."""

_acting: ContextVar[tuple[str, str] | None] = ContextVar("acting", default=None)
"""The function that is running, and its region; what a test does by itself is nobody's."""

P = ParamSpec("P")
R = TypeVar("R")

READS = {"GetItem", "BatchGetItem", "Query", "Scan", "ConditionCheckItem"}


def enforce(patch: pytest.MonkeyPatch) -> None:
    """From here on, refuse what the contract does not let the function that asks for it."""
    make, call = Store.__init__, Dynamo.call

    def make_and_watch(store: Store, *arguments: Any, **options: Any) -> None:
        make(store, *arguments, **options)
        for function, paths in ENTRIES.items():
            for path in paths:
                _watch(store, path, function)

    def call_if_allowed(dynamo: Dynamo, operation: str, request: Any) -> Any:
        who = _acting.get()
        if who is not None:
            for action, table, pk in asked(operation, request):
                refusal = denied(*who, dynamo.aws_region, action, table, pk)
                assert refusal is None, refusal
        return call(dynamo, operation, request)

    patch.setattr(Store, "__init__", make_and_watch)
    patch.setattr(Dynamo, "call", call_if_allowed)


def _watch(store: Store, path: str, function: str) -> None:
    part, _, method = path.rpartition(".")
    holder = getattr(store, part) if part else store
    inner: Callable[..., Any] = getattr(holder, method)

    @wraps(inner)
    def act(*arguments: Any, **options: Any) -> Any:
        if _acting.get() is not None:  # one function's part that another calls is the other's
            return inner(*arguments, **options)
        with acting(function, store.region):
            return inner(*arguments, **options)

    setattr(holder, method, act)


def by_itself(step: Callable[P, R]) -> Callable[P, R]:
    """Make a step of a test begin as nobody's, also where a function's call is held up to let it go on beside."""

    @wraps(step)
    def run(*arguments: P.args, **options: P.kwargs) -> R:
        token = _acting.set(None)
        try:
            return step(*arguments, **options)
        finally:
            _acting.reset(token)

    return run


@contextmanager
def acting(function: str, region: str) -> Iterator[None]:
    """Do what is in the block as a function of a region."""
    token = _acting.set((function, region))
    try:
        yield
    finally:
        _acting.reset(token)


def asked(operation: str, request: Any) -> Iterator[tuple[str, str, str | None]]:
    """Give IAM's action, the table and the partition key of all that a request asks for."""
    if operation == "TransactWriteItems":
        for write in request["TransactItems"]:
            (kind, part), *_ = write.items()
            action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            yield action, part["TableName"], (part.get("Key") or part["Item"])["pk"]["S"]
    elif operation == "BatchGetItem":
        for table in request["RequestItems"]:
            yield operation, table, None
    else:
        key = request.get("Key") or request.get("Item")
        yield operation, request["TableName"], key["pk"]["S"] if key else None


def denied(function: str, region: str, aws_region: str, action: str, table: str, pk: str | None) -> str | None:
    """Return why the role of a function refuses an action, None if it does not."""
    at = next(name for name, facts in load_topology().regions.items() if facts.aws_region == aws_region)
    facts = load_functions()[function]
    name = table.removeprefix("cutlass-tech-").rpartition("-")[0]
    tables, where = (facts.tables, "tables") if at == region else (facts.peer_tables, "peer_tables")
    needed = Access.READ if action in READS else Access.WRITE
    if tables.get(name) not in {needed, Access.WRITE}:
        return f"{function} in {region} asks {at} for {action} on {name}: {where} of the contract lacks {needed}"
    if action == "Scan" and (at != region or name not in facts.scans):
        return f"{function} in {region} reads {name} of {at} from end to end: `scans` of the contract lacks it"
    if needed is Access.WRITE and not (pk or "").startswith(f"{at}#"):
        return f"{function} in {region} asks {at} for {action} on {name}, of the item {pk} that is not {at}'s own"
    return None
