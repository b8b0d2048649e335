"""Pools and allotments as items. Attribute names are short where the item is written by every decision."""

from dataclasses import asdict, fields
from typing import Any

from cutlass.domain.allotments import Allotment, Chunk, LastDecision
from cutlass.domain.grants import Category
from cutlass.domain.pools import NEVER_MS, Pool
from cutlass.domain.regions import Claim
from cutlass.domain.reservations import Part, Reservation, State
from cutlass.storage.codec import Item

_RETENTION_SECONDS = 400 * 86_400

ATTRIBUTE = {
    "available": "available",
    "unbacked": "unbacked",
    "used": "used",
    "total": "total",
    "rights": "rights",
    "extra": "extra",
    "drawn": "drawn",
    "returned": "returned",
    "expired": "expired",
    "released": "released",
    "reserved": "reserved",
    "refunded": "refunded",
    "handed": "handed",
    "served": "served",
    "births": "births",
    "overdrawn": "overdrawn",
    "refused": "refused",
    "seq": "seq",
    "refills": "refills",
    "refilled_ms": "filled",
    "chunk": "chunk",
    "rate": "rate",
    "until_ms": "until",
    "mark_ms": "mark",
    "trims": "trims",
    "ring": "ring",
    "rev": "rev",
    "stripes": "stripes",
    "plan": "plan",
    "limit": "limit",
    "held": "held",
    "last": "last",
}
"""The attribute that holds each field of an allotment."""

ALWAYS = {
    "available",
    "unbacked",
    "used",
    "total",
    "seq",
    "refills",
    "until_ms",
    "mark_ms",
    "trims",
    "rev",
    "stripes",
    "plan",
}
"""Fields an allotment always has as attributes, because a condition or a sum reads them; zeros elsewhere go."""


def allotment_to_item(allotment: Allotment, pk: str, sk: str, ends_ms: int) -> Item:
    """An allotment as a whole item, deleted long after its period; zero counters are left out."""
    item: Item = {"pk": pk, "sk": sk, "ttl": ends_ms // 1000 + _RETENTION_SECONDS}
    for name, attribute in ATTRIBUTE.items():
        value = getattr(allotment, name)
        if value or name in ALWAYS:
            item[attribute] = value
    if allotment.held:
        item["held"] = chunks_to_wire(allotment.held)
    if allotment.last:
        item["last"] = last_to_wire(allotment.last)
    return item | _counters(allotment)


def allotment_from_item(item: Item) -> Allotment:
    """Read an allotment off its item."""
    values = {name: item[attribute] for name, attribute in ATTRIBUTE.items() if attribute in item}
    values.setdefault("limit", None)
    values.setdefault("rights", 0)
    if "held" in values:
        values["held"] = tuple(Chunk(pool, upto, until) for pool, upto, until in values["held"])
    if "last" in values:
        values["last"] = last_from_wire(values["last"])
    return Allotment(**values, **_by_region(item))


def sent_to(region: str) -> str:
    """The attribute that counts what was ever sent to a region."""
    return f"sent>{region}"


def accepted_from(region: str) -> str:
    """The attribute that counts what was ever accepted from a region."""
    return f"accepted<{region}"


def _counters(holder: Allotment | Pool) -> Item:
    sent = {sent_to(region): units for region, units in holder.sent.items()}
    return sent | {accepted_from(region): units for region, units in holder.accepted.items()}


def _by_region(item: Item) -> dict[str, Any]:
    counters: dict[str, Any] = {"sent": {}, "accepted": {}}
    for name, units in item.items():
        if name.startswith("sent>"):
            counters["sent"][name[5:]] = units
        elif name.startswith("accepted<"):
            counters["accepted"][name[9:]] = units
    return counters


def chunks_to_wire(chunks: tuple[Chunk, ...]) -> list[list[str | int]]:
    """Chunks as the list an allotment's item keeps."""
    return [[chunk.pool, chunk.upto, chunk.expires_ms] for chunk in chunks]


def last_to_wire(last: LastDecision) -> list[Any]:
    """The newest decision as the list an allotment's item keeps; without the end that says nothing."""
    wire: list[Any] = [last.request_id, last.feature, last.units, last.at_ms, last.fingerprint, last.reason]
    wire += [last.refund_id, [list(part) for part in last.spent]]
    while len(wire) > 5 and not wire[-1]:
        del wire[-1]
    return wire


def last_from_wire(wire: list[Any]) -> LastDecision:
    """Read the newest decision off an allotment's list."""
    full = wire + [None, None, []][len(wire) - 5 :]
    request_id, feature, units, at_ms, fingerprint, reason, refund_id, spent = full
    parts = tuple((pool, n) for pool, n in spent)
    return LastDecision(request_id, feature, units, at_ms, fingerprint, reason, refund_id, parts)


RESERVATION = {
    "org_id": "org",
    "user_id": "user",
    "feature": "feature",
    "meter": "meter",
    "period": "period",
    "resets_ms": "resets",
    "request_id": "request",
    "units": "units",
    "created_ms": "created",
    "deadline_ms": "deadline",
    "plan": "plan",
    "limit": "limit",
    "total": "total",
    "left": "left",
    "state": "state",
    "spent": "spent",
    "ended_ms": "ended",
}
"""The attribute that holds each field of a reservation, besides its key and its parts."""


def reservation_to_item(reservation: Reservation, pk: str, sk: str) -> Item:
    """A reservation as a whole item, deleted long after its deadline: until then its request is known."""
    item: Item = {"pk": pk, "sk": sk, "ttl": reservation.deadline_ms // 1000 + _RETENTION_SECONDS}
    item |= {attribute: getattr(reservation, name) for name, attribute in RESERVATION.items()}
    item["parts"] = [[part.pool, part.units, part.expires_ms] for part in reservation.parts]
    return {name: value for name, value in item.items() if value is not None}


def reservation_from_item(item: Item) -> Reservation:
    """Read a reservation off its item."""
    values = {name: item.get(attribute) for name, attribute in RESERVATION.items()}
    values |= {"state": State(item["state"]), "parts": tuple(Part(*part) for part in item["parts"])}
    region, _, name = item["pk"].split("#")
    return Reservation(region=region, name=name, **values)  # type: ignore[arg-type]


_POOL_FIELDS = [f.name for f in fields(Pool) if f.name not in {"sent", "accepted"}]


def pool_to_item(pool: Pool, pk: str) -> Item:
    """A pool as a whole item; what never expires is never deleted."""
    item: Item = {"pk": pk, "sk": pool.key}
    item |= {name: getattr(pool, name) for name in _POOL_FIELDS}
    item["category"] = str(pool.category)
    if pool.expires_ms != NEVER_MS:
        item["ttl"] = pool.expires_ms // 1000 + _RETENTION_SECONDS
    return {name: value for name, value in item.items() if value is not None} | _counters(pool)


def pool_from_item(item: Item) -> Pool:
    """Read a pool off its item."""
    values = {name: item[name] for name in _POOL_FIELDS if name in item}
    values |= {"category": Category(item["category"]), "user_id": item.get("user_id")}
    return Pool(**values, **_by_region(item))


def claim_to_item(claim: Claim, pk: str, sk: str) -> Item:
    """A claim as an item of the survivor's."""
    return {"pk": pk, "sk": sk} | asdict(claim)


def claim_from_item(item: Item) -> Claim:
    """Read a claim off its item."""
    return Claim(**{name: item[name] for name in Claim.__slots__})
