"""Ledger segments as items: the entries of one user, meter and region in two seconds, each an attribute.

An entry's name says what it is: a charge goes by its request id, everything else by its own. Which pools paid is
told by short names: the key of each pool stands in the item once, under its name.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from cutlass.domain.allotments import Spent
from cutlass.domain.ids import decision_id, digest
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.periods import from_millis, to_millis
from cutlass.storage.codec import Item

CHARGE = "="
"""What the name of a charge's attribute begins with."""

_SIGNS = {CHARGE: EntryKind.DECISION, "!": EntryKind.REFUSAL, "-": EntryKind.REFUND}
_SIGN_OF = {kind: sign for sign, kind in _SIGNS.items()}
_POOL = "+"

_PLAIN = 7
"""Fields of every entry; behind them stand the pools and, of all but charges, reason and request id."""


def in_segments(entry: LedgerEntry) -> bool:
    """Whether an entry is written into a segment; all others are items of their own."""
    return entry.user_id is not None and entry.kind in _SIGN_OF


def attributes(entries: Iterable[LedgerEntry]) -> dict[str, Any]:
    """The attributes that hold some entries, under their names, and the pools that they refer to."""
    found: dict[str, Any] = {}
    for entry in entries:
        found |= {_POOL + _short(pool): pool for pool, _ in entry.spent}
        found[name(entry)] = wire(entry)
    return found


def name(entry: LedgerEntry) -> str:
    """The attribute that holds an entry: a charge goes by its request id, everything else by its own."""
    charged = entry.kind is EntryKind.DECISION and entry.request_id
    return _SIGN_OF[entry.kind] + (entry.request_id or "" if charged else entry.entry_id)


def wire(entry: LedgerEntry) -> list[Any]:
    """An entry as a list; `attributes` has the pools it refers to."""
    plain = [
        to_millis(entry.at),
        entry.feature,
        entry.units,
        entry.after,
        entry.fingerprint,
        entry.plan,
        entry.limit,
    ]
    if entry.kind is EntryKind.DECISION:
        return [*plain, _paid(entry.spent)] if entry.spent else plain
    return [*plain, _paid(entry.spent), entry.reason, entry.request_id]


def charge(item: Item, request_id: str) -> LedgerEntry | None:
    """Read the charge on a request off a segment, or off the index entry of that request."""
    listed = item["entry"] if "entry" in item else item.get(CHARGE + request_id)
    return _entry(item, CHARGE + request_id, listed) if listed else None


def charges(item: Item) -> Iterator[LedgerEntry]:
    """Read every charge off a segment, or the one of an index entry; nothing off any other item."""
    if "entry" in item:
        yield _entry(item, CHARGE + item["id"], item["entry"])
    for attribute, listed in item.items():
        if attribute.startswith(CHARGE):
            yield _entry(item, attribute, listed)


def entries(item: Item) -> Iterator[LedgerEntry]:
    """Read every entry off a segment."""
    for attribute, listed in item.items():
        if attribute[0] in _SIGNS:
            yield _entry(item, attribute, listed)


def _entry(item: Item, attribute: str, listed: list[Any]) -> LedgerEntry:
    kind, own = _SIGNS[attribute[0]], attribute[1:]
    at_ms, feature, units, after, fingerprint, plan, limit = listed[:_PLAIN]
    paid, reason, request_id = (*listed[_PLAIN:], None, None, None)[:3]
    charged = kind is EntryKind.DECISION
    org_id, user_id, meter = item["org"], item["user"], item["meter"]
    return LedgerEntry(
        kind=kind,
        entry_id=decision_id(org_id, user_id, meter, own) if charged else own,
        at=from_millis(at_ms),
        region=item["pk"].partition("#")[0],
        org_id=org_id,
        meter=meter,
        units=units,
        before=after + {EntryKind.DECISION: -units, EntryKind.REFUND: units}.get(kind, 0),
        after=after,
        user_id=user_id,
        feature=feature,
        request_id=own if charged else request_id,
        reason=reason,
        plan=plan,
        limit=limit,
        fingerprint=fingerprint,
        spent=_spent(item, paid, units),
    )


def _short(pool_key: str) -> str:
    """Seven characters (40 bits) that stand for a pool within one segment."""
    return base64.urlsafe_b64encode(digest(pool_key)[:5]).decode().rstrip("=")


def _paid(spent: Spent) -> str | list[Any] | None:
    """The pools by their short names: one, as a rule; of several each with its units."""
    if len(spent) <= 1:
        return _short(spent[0][0]) if spent else None
    return [part for pool, units in spent for part in (_short(pool), units)]


def _spent(item: Item, paid: str | list[Any] | None, units: int) -> Spent:
    if paid is None:
        return ()
    if isinstance(paid, str):
        return ((item[_POOL + paid], units),)
    return tuple((item[_POOL + short], n) for short, n in zip(paid[::2], paid[1::2], strict=True))
