"""Ledger segments: what is written of an entry is read again, and how large it is."""

from dataclasses import replace

import pytest

from cutlass.domain.allotments import LastDecision, Spent
from cutlass.domain.ids import new_request_id
from cutlass.domain.ledger import LedgerEntry
from cutlass.storage import segments
from cutlass.storage.codec import Wire, decode_item, encode_item
from tests.unit.domain.samples import NOW_MS, pool

PLAN, CREDIT = pool("requests:plan-20261101T0000").key, pool("requests:credit", user_id="ann").key
PLACE = {
    "pk": "london#org#20261122#0",
    "sk": "120000#ann#requests",
    "org": "org",
    "user": "ann",
    "meter": "requests",
}


def entry(number: int = 0, spent: Spent = (), **changes: object) -> LedgerEntry:
    at_ms = NOW_MS + number * 7
    last = LastDecision(new_request_id(at_ms), "default", sum(n for _, n in spent) or 1, at_ms, 12_345_678)
    return LedgerEntry.of_last(
        replace(last, **changes),  # type: ignore[arg-type]
        region="london",
        org_id="org",
        user_id="ann",
        meter="requests",
        after=1_000 + number,
        plan="basic",
        limit=1_000,
        refusal=f"refused-{number}",
        spent=spent,
    )


ENTRIES = [
    entry(1, ((PLAN, 1),)),
    entry(2, ((PLAN, 3), (CREDIT, 4))),
    entry(3),  # of an allotment whose stream record does not say
    entry(4, reason="user_limit_reached"),
    entry(5, ((CREDIT, 2), (PLAN, 1)), refund_id="r1", reason="broken"),
    entry(6, ((PLAN, 1),), refund_id="r2"),
]


def test_entries_are_read_as_they_were_written() -> None:
    item = decode_item(encode_item(PLACE | segments.attributes(ENTRIES)))
    assert sorted(segments.entries(item), key=lambda e: e.at) == ENTRIES
    charged = [e for e in ENTRIES if e.kind == "decision"]
    assert sorted(segments.charges(item), key=lambda e: e.at) == charged
    assert segments.charge(item, charged[1].request_id or "") == charged[1]


def size(wire: Wire) -> int:
    """The bytes DynamoDB counts for a value."""
    ((kind, value),) = wire.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return (len(value) + 1) // 2 + 1
        case "L":
            return 3 + sum(1 + size(part) for part in value)
    return 1


@pytest.mark.parametrize("decisions", [1, 20, 400])
def test_who_paid_costs_few_bytes(decisions: int) -> None:
    """At most 12 bytes an entry, besides the pool's key, which a segment has once."""

    def bytes_of(spent: Spent) -> int:
        made = encode_item(segments.attributes(entry(number, spent) for number in range(decisions)))
        return sum(len(name) + size(value) for name, value in made.items())

    more = bytes_of(((PLAN, 1),)) - bytes_of(())
    assert more <= 12 * decisions + len(PLAN) + 8
