"""Stripes: the allotment of a busy user in several items, so that none outgrows one write unit or one partition.

A decision remembers its request in the ring of the item it writes. At more decisions a second than a ring
holds until the ledger has them, the item would grow beyond 1 KB, and every decision would cost more; near a
thousand a second one item would be too few altogether. So a busy allotment is divided: a request's stripe
follows from its id, each stripe is an allotment of its own, and stripe 0, the one there was, says how many
there are. They only become more, by doubling: a stripe keeps its own requests, but for those that go to the
new one behind it.
"""

from dataclasses import replace

from cutlass.domain.allotments import Allotment
from cutlass.domain.ids import digest
from cutlass.domain.transfers import accept_rights, send_rights

MAX_STRIPES = 64

PER_SECOND = 20
"""Decisions a second that one stripe takes: so many fit into its ring until they are in the ledger."""


def stripe_of(request_id: str, stripes: int) -> int:
    """Which of `stripes` (a power of two) decides a request."""
    return int.from_bytes(digest(request_id)[6:8]) % stripes


def ancestors(stripe: int) -> list[int]:
    """The stripes that decided a stripe's requests while there were fewer, the latest first."""
    found = []
    while stripe:
        stripe -= 1 << stripe.bit_length() - 1
        found.append(stripe)
    return found


def divided(stripes: int, decisions: int, span_ms: int) -> int | None:
    """How many stripes there should be, after one took so many decisions in a time; None: as many as now."""
    rate = (decisions - 1) * 1000 / max(1000, span_ms)
    wanted = stripes
    while rate > PER_SECOND and wanted < MAX_STRIPES:
        wanted, rate = 2 * wanted, rate / 2
    return wanted if wanted > stripes else None


def striped(name: str, stripe: int) -> str:
    """A period's or a user's name with the stripe behind it; stripe 0 is the name alone."""
    return f"{name}#{stripe}" if stripe else name


def unstriped(name: str) -> tuple[str, int]:
    """A name without its stripe, and the stripe."""
    plain, _, stripe = name.partition("#")
    return plain, int(stripe or 0)


def holder_name(region: str, stripe: int) -> str:
    """The name of a stripe in the counters of rights sent and accepted: stripe 0 goes by its region's."""
    return striped(region, stripe)


def move_rights(
    source: Allotment, target: Allotment, units: int, *, giver: str, taker: str
) -> tuple[Allotment, Allotment]:
    """Move rights that no pool backs from one stripe of a region to another, by their holders' names."""
    gave = send_rights(source, taker, units)
    took = accept_rights(target, giver, gave.sent[taker])
    return replace(gave, refills=source.refills + 1), replace(took, refills=target.refills + 1)
