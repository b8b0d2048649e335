"""`contracts/plans.yaml`: meters, features and plans."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Document, Node
from cutlass.domain.alerts import MAX_THRESHOLDS, Threshold, ThresholdKind, ThresholdScope
from cutlass.domain.plans import MAX_UNITS, Allowance, AtEnd, Catalogue, Feature, PeriodKind, Plan, Throttle

DEFAULT_FEATURE = "default"
"""The feature of a request that names none, so every catalogue has it."""

_NAME = r"[a-z][a-z0-9]*([._-][a-z0-9]+)*"
_THROTTLE_LIMIT = 1_000_000
_DETAIL_DAYS = 36_600


@read_once
def load_catalogue(folder: Path) -> Catalogue:
    """Return the plan catalogue."""
    document = Document(folder, "plans.yaml")
    fields = document.root.fields(["meters", "features", "plans"])
    meters = {name: _title(node) for name, node in fields["meters"].entries(_NAME).items()}
    features = {name: _feature(name, node, meters) for name, node in fields["features"].entries(_NAME).items()}
    plans = {
        name: _plan(name, rank, node, meters, features)
        for rank, (name, node) in enumerate(fields["plans"].entries(_NAME).items())
    }
    if DEFAULT_FEATURE not in features:
        fields["features"].problem("a request that names no feature needs this one", key=DEFAULT_FEATURE)
    if not plans:
        fields["plans"].problem("there must be at least one plan")
    document.finish()
    return Catalogue(MappingProxyType(meters), MappingProxyType(features), MappingProxyType(plans))


def _title(node: Node) -> str:
    return node.fields(["title"])["title"].text()


def _feature(name: str, node: Node, meters: Mapping[str, str]) -> Feature:
    fields = node.fields(["title", "meter", "units"])
    return Feature(
        name=name,
        title=fields["title"].text(),
        meter=fields["meter"].reference(meters, "meter"),
        units=fields["units"].integer(1, MAX_UNITS),
    )


def _plan(name: str, rank: int, node: Node, meters: Mapping[str, str], features: Mapping[str, Feature]) -> Plan:
    fields = node.fields(["title", "period", "features", "meters", "throttle"], ["alerts", "detail_days"])
    allowances = {meter: _allowance(value) for meter, value in _known(fields["meters"], meters, "meter").items()}
    return Plan(
        name=name,
        title=fields["title"].text(),
        rank=rank,
        period=fields["period"].choice(PeriodKind),
        features=_plan_features(fields["features"], features, allowances),
        meters=MappingProxyType(allowances),
        throttle=_throttle(fields["throttle"]),
        alerts=_alerts(fields["alerts"]) if "alerts" in fields else (),
        detail_days=fields["detail_days"].integer(60, _DETAIL_DAYS) if "detail_days" in fields else None,
    )


def _known(node: Node, targets: Mapping[str, object], kind: str) -> dict[str, Node]:
    entries = node.entries(_NAME)
    for name, value in entries.items():
        if name not in targets:
            value.problem(f"there is no {kind} {name!r}; there are: {', '.join(sorted(targets)) or 'none'}")
    return {name: value for name, value in entries.items() if name in targets}


def _plan_features(
    node: Node, features: Mapping[str, Feature], allowances: Mapping[str, Allowance]
) -> frozenset[str]:
    names: set[str] = set()
    for item in node.items():
        name = item.reference(features, "feature")
        if name in names:
            item.problem(f"{name!r} is listed twice")
        elif name in features and features[name].meter not in allowances:
            item.problem(f"{name!r} is metered by {features[name].meter!r}, of which this plan includes nothing")
        names.add(name)
    return frozenset(names)


def _allowance(node: Node) -> Allowance:
    fields = node.fields(["included", "user_limit", "at_end"], ["overage_cap", "wait_for_regions"])
    user_limit = fields["user_limit"]
    at_end = fields["at_end"].choice(AtEnd)
    cap, wait = fields.get("overage_cap"), fields.get("wait_for_regions")
    if at_end is AtEnd.OVERAGE and cap is None:
        node.problem("missing; a plan with `at_end: overage` names how far it goes", key="overage_cap")
    if at_end is not AtEnd.OVERAGE and cap is not None:
        cap.problem(f"has no meaning with `at_end: {at_end.value}`")
    return Allowance(
        included=fields["included"].integer(0, MAX_UNITS),
        user_limit=None if user_limit.is_text("unlimited") else user_limit.integer(0, MAX_UNITS),
        at_end=at_end,
        overage_cap=0 if cap is None else cap.integer(0, MAX_UNITS),
        wait_for_regions=wait is None or wait.flag(),
    )


def _alerts(node: Node) -> tuple[Threshold, ...]:
    found: list[Threshold] = []
    for kind, values in node.fields([], [kind.value for kind in ThresholdKind]).items():
        scope = ThresholdScope.ALL if kind == ThresholdKind.PERCENT else ThresholdScope.ORGANISATION
        for item in values.items():
            most = 100 if kind == ThresholdKind.PERCENT else MAX_UNITS
            threshold = Threshold(ThresholdKind(kind), item.integer(1, most), scope=scope)
            if threshold in found:
                item.problem(f"{threshold.name} is listed twice")
            found.append(threshold)
    if len(found) > MAX_THRESHOLDS:
        node.problem(f"names {len(found)} thresholds; there may be {MAX_THRESHOLDS}")
    return tuple(found)


def _throttle(node: Node) -> Throttle:
    fields = node.fields(["requests_per_second", "burst"])
    return Throttle(
        requests_per_second=fields["requests_per_second"].integer(1, _THROTTLE_LIMIT),
        burst=fields["burst"].integer(1, _THROTTLE_LIMIT),
    )
