"""On a schedule: proves the invariants of the organisations at home in this region, as many as time allows."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.domain.errors import CutlassError
from cutlass.domain.reconciliation import in_turn
from cutlass.storage import Store, open_store
from cutlass.storage.reconciled import Reconciled

logger = Logger()
metrics = Metrics()

_MARGIN_MS = 30_000
"""What is left of the function's time when it begins no other organisation."""


@metrics.log_metrics
def handler(_event: object, context: Any) -> dict[str, int]:
    """Reconcile one organisation after another; returns what it came to and raises nothing of it.

    Each run begins with other organisations, so that all get their turn where one run cannot do them all.
    """
    store = open_store()
    ids = [organisation.org_id for organisation in store.directory.every(home=store.region)]
    counts = dict.fromkeys(("organisations", "problems", "not_compared", "failures"), 0)
    for org_id in in_turn(ids, store.clock()):
        if context.get_remaining_time_in_millis() < _MARGIN_MS:
            break
        found = _reconcile(store, org_id)
        if found is None:
            counts["failures"] += 1
            continue
        counts["organisations"] += 1
        counts["problems"] += len(found.problems)
        counts["not_compared"] += len(found.not_compared)
    metrics.add_dimension(name="Region", value=store.region)
    for metric, name in (
        ("OrganisationsReconciled", "organisations"),
        ("InvariantsBroken", "problems"),
        ("ReconciliationsNotCompared", "not_compared"),
        ("ReconciliationsFailed", "failures"),
    ):
        metrics.add_metric(name=metric, unit=MetricUnit.Count, value=counts[name])
    return counts


def _reconcile(store: Store, org_id: str) -> Reconciled | None:
    """Reconcile one organisation and log what is wrong; None where it could not be done."""
    try:
        found = store.reconciliation.organisation(org_id)
    except CutlassError as error:
        logger.warning("not reconciled", org_id=org_id, reason=error.message)
        return None
    except Exception:  # one organisation's items must not keep the others from being looked at
        logger.exception("not reconciled", org_id=org_id)
        return None
    for problem in found.problems:
        logger.error(
            "invariant broken",
            org_id=org_id,
            meter=problem.meter,
            region=problem.region,
            pk=problem.pk,
            sk=problem.sk,
            invariant=problem.invariant,
            words=problem.words,
        )
    return found
