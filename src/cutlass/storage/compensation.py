"""Compensation: a request charged in two regions is charged once in the end.

The ledger is global, so the charges of every region arrive in this one's copy and in its stream. Whichever of two
charges on one request arrives second finds the other here. The later one, by time and region, is refunded by the
region that made it; so both regions look, each refunds its own charges only, and none waits for another.

What is read goes by segments, not by decisions: the segments of two seconds that may hold the other charges are
the same for all decisions of a segment. Ids that no segment leads to are read one by one, or as a range.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cutlass.domain.ids import request_time
from cutlass.domain.ledger import LedgerEntry, was_fresh
from cutlass.domain.periods import to_millis
from cutlass.domain.reservations import charged_in
from cutlass.storage import keys, segments
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.ledger import places
from cutlass.storage.refunds import Refunds

_FEW = 3
"""Ids of one segment that are looked up in the index one by one; more are read as a range of it."""

_Subject = tuple[str, str, str]
"""An organisation, user and meter."""


@dataclass(frozen=True, slots=True)
class Compensated:
    """What one batch of stream records came to: charges seen, and charges refunded."""

    charges: int
    refunds: int


class Compensation:
    """Refunds the charges of one region that another region had made before.

    Parameters
    ----------
    table : str
        The full name of the ledger table.
    regions : Iterable[str]
        Every region's name.
    """

    def __init__(self, dynamo: Dynamo, table: str, region: str, regions: Iterable[str], refunds: Refunds) -> None:
        self._dynamo = dynamo
        self._table = table
        self._region = region
        self._others = [name for name in regions if name != region]
        self._refunds = refunds

    def compensate(self, records: Iterable[dict[str, object]]) -> Compensated:
        """Look at a batch of stream records of the ledger; telling it again changes nothing."""
        new = list(chain.from_iterable(map(_new_charges, records)))
        here = [charge for charge in new if charge.region == self._region]
        there = [charge for charge in new if charge.region != self._region]
        copies = self._charges_on(here, self._others)
        own = self._charges_on(there, [self._region])
        pairs = [(mine, other) for mine in here for other in copies.get(_name(mine), ())]
        pairs += [(mine, other) for other in there for mine in own.get(_name(other), ())]
        later = {_name(mine): mine for mine, other in pairs if _after(mine, other)}
        return Compensated(len(new), sum(self._refunds.compensate(mine) for mine in later.values()))

    def _charges_on(
        self, charges: list[LedgerEntry], regions: list[str]
    ) -> dict[tuple[_Subject, str], list[LedgerEntry]]:
        """Find what some regions have charged on the same requests, as this one knows."""
        wanted: set[keys.Key] = set()
        ranges: set[tuple[str, str, str]] = set()
        for subject, ids in _by_subject(charges).items():
            for region in regions:
                fresh = sorted(request_id for request_id, is_fresh in ids if is_fresh)
                for request_id, is_fresh in ids:
                    index, *around = places(region, *subject, charged_in(request_id, region))
                    wanted.update(around)
                    if not is_fresh or len(fresh) <= _FEW:
                        wanted.add(index)
                if len(fresh) > _FEW:
                    pk, low = keys.request_index(region, *subject, fresh[0])
                    ranges.add((pk, low, keys.request_index(region, *subject, fresh[-1])[1]))
        items = [*self._dynamo.batch_get({self._table: sorted(wanted)}).values()] if wanted else []
        for pk, low, high in ranges:
            items += self._dynamo.query(self._table, pk, between=(low, high))
        asked = {_name(charge) for charge in charges}
        found: dict[tuple[_Subject, str], list[LedgerEntry]] = defaultdict(list)
        for item in items:
            for entry in segments.charges(item):
                if _name(entry) in asked:
                    found[_name(entry)].append(entry)
        return found


def _by_subject(charges: Iterable[LedgerEntry]) -> dict[_Subject, set[tuple[str, bool]]]:
    """Request ids by subject, each with whether it is of about the time it was charged at, in its usual form."""
    found: dict[_Subject, set[tuple[str, bool]]] = defaultdict(set)
    for charge in charges:
        (subject, request_id) = _name(charge)
        usual = len(request_id) == 36 and request_id == request_id.lower() and request_time(request_id) > 0
        found[subject].add((request_id, usual and was_fresh(request_id, to_millis(charge.at))))
    return found


def _new_charges(record: dict[str, object]) -> Iterator[LedgerEntry]:
    """The charges a stream record has put into a segment or into the index."""
    image = record["dynamodb"]
    if not isinstance(image, dict) or "NewImage" not in image:
        return
    before = image.get("OldImage") or {}
    fresh: Item = {name: value for name, value in image["NewImage"].items() if name not in before}
    if any(name == "entry" or name.startswith(segments.CHARGE) for name in fresh):
        old = {name for name in before if name.startswith(segments.CHARGE)}
        item = {name: value for name, value in decode_item(image["NewImage"]).items() if name not in old}
        yield from segments.charges(item)


def _name(charge: LedgerEntry) -> tuple[_Subject, str]:
    """The request of a charge, whichever region charged it: a reservation has one name in all of them."""
    return (charge.org_id, charge.user_id or "", charge.meter), charged_in(charge.request_id or "", "")


def _after(mine: LedgerEntry, other: LedgerEntry) -> bool:
    """Whether a charge is the later of two on one request; another body makes it another request."""
    repeated = mine.fingerprint == other.fingerprint and mine.region != other.region
    return repeated and (mine.at, mine.region) > (other.at, other.region)
