"""Refunds: units of a charge back to the pools they came from, in the region that made the charge.

One transaction at that region's own DynamoDB, wherever the request arrives: the charge's account of its refunds,
the allotment, and the pools. The account makes a refund happen once, and never above the charge.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cutlass.domain.allotments import Allotment, LastDecision, Spent
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, NotFoundError, UnavailableError
from cutlass.domain.ids import RequestIdentity, new_request_id
from cutlass.domain.ledger import LedgerEntry
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.refunds import (
    CHARGED_TWICE,
    COMPENSATION,
    MAX_REFUNDS,
    RefundAccount,
    RefundPart,
    given_back,
    refund,
)
from cutlass.domain.reservations import committed
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, change_of
from cutlass.storage.codec import Item, Wire
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, expression, update_of
from cutlass.storage.items import reservation_from_item
from cutlass.storage.ledger import Ledger
from cutlass.storage.peers import Peers
from cutlass.storage.returns import by_pool, return_writes

_RACES = 16

_KEPT_SECONDS = 450 * 86_400
"""How long an account is kept after its last refund: longer than the allotment of the charge."""

_LATEST = "~"
"""Behind the key of every period."""


@dataclass(frozen=True, slots=True)
class RefundView:
    """One refund as the API shows it: `refunded` is what was given back of the charge up to it."""

    charge: LedgerEntry
    part: RefundPart
    refunded: int
    spent: Spent

    @property
    def at(self) -> datetime:
        """When it was made."""
        return from_millis(self.part.at_ms)


class Refunds:
    """Refunds charges of all regions.

    Parameters
    ----------
    limits, ledger : str
        The full names of the tables.
    copies : Ledger
        This region's ledger, with its copies of the others'.
    """

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        copies: Ledger,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        *,
        limits: str,
        ledger: str,
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._copies = copies
        self._catalogue = catalogue
        self._clock = clock
        self._limits = limits
        self._ledger = ledger

    def create(
        self,
        org_id: str,
        user_id: str,
        *,
        request_id: str,
        meter: str | None = None,
        units: int | None = None,
        reason: str | None = None,
        refund_id: str | None = None,
    ) -> tuple[RefundView, bool]:
        """Refund a charge, once for every refund id of the charge; returns the refund and whether it is new.

        Parameters
        ----------
        request_id : str
            The id of the request that was charged.
        meter : str, optional
            Which of its charges, should it have been charged on several meters.
        units : int, optional
            What is left of the charge, unless given.

        Raises
        ------
        NotFoundError
            For an unknown organisation or charge.
        ConflictError
            When so much is not left of the charge, or it is not on record yet.
        IdempotencyMismatchError
            When the refund id was used for another refund of this charge.
        UnavailableError
            When the region of the charge does not answer.
        """
        self._directory.get(org_id)
        charge = self._charge(org_id, user_id, request_id, [meter] if meter else list(self._catalogue.meters))
        identity = refund_id or new_request_id(to_millis(self._clock()))
        fingerprint = RequestIdentity.of(identity, str(units), reason or "").fingerprint
        return self._give_back(charge, RefundPart(identity, units or 0, 0, reason, fingerprint))

    def compensate(self, charge: LedgerEntry) -> bool:
        """Refund what is left of a charge of this region that another region had made before; False if nothing."""
        with suppress(ConflictError):
            return self._give_back(charge, RefundPart(COMPENSATION, 0, 0, CHARGED_TWICE, 0))[1]
        return False

    def _give_back(self, charge: LedgerEntry, asked: RefundPart) -> tuple[RefundView, bool]:
        """Make a refund at the charge's region; `asked.units` 0 stands for all that is left."""
        org_id, user_id, request_id = charge.org_id, charge.user_id or "", charge.request_id or ""
        place = keys.refunds(charge.region, org_id, user_id, charge.meter, request_id)
        with self._peers.reach(charge.region) as there:
            for _ in range(_RACES):
                item = there.get(self._limits, *place)
                account = _account_of(item, charge)
                if met := account.part(asked.refund_id):
                    return _repeated(charge, account, met, asked), False
                part = self._checked(account, asked)
                back = given_back(charge.spent, account.refunded, part.units)
                new = account.with_part(part)
                writes = [_account_write(self._limits, place, account, new)]
                writes += self._moves(there, charge, part, back)
                try:
                    there.transact(writes)
                except TransactionFailedError as failed:
                    if max(failed.failed) > 1:
                        raise _too_old(request_id) from None  # a pool is not there any more
                    continue
                return RefundView(charge, part, new.refunded, back), True
        raise UnavailableError("too many changes of this user at once", hint="send the same refund id again")

    def _checked(self, account: RefundAccount, asked: RefundPart) -> RefundPart:
        """The refund that is asked for, with its units and time; raises `ConflictError` where it cannot be."""
        if account.left == 0 or asked.units > account.left:
            raise ConflictError(f"only {account.left} of the {account.charged} units charged are left to refund")
        if len(account.parts) >= MAX_REFUNDS and asked.refund_id != COMPENSATION:
            raise ConflictError(f"this charge was refunded {MAX_REFUNDS} times already")
        units = asked.units or account.left
        return RefundPart(asked.refund_id, units, to_millis(self._clock()), asked.reason, asked.fingerprint)

    def _moves(self, there: Dynamo, charge: LedgerEntry, part: RefundPart, back: Spent) -> list[Wire]:
        """Make the writes that move a refund's units from the charge's allotment into the pools."""
        org_id, user_id, request_id = charge.org_id, charge.user_id or "", charge.request_id or ""
        found = self._charged(there, charge, part.units)
        if found is None or sum(n for _, n in back) != part.units:
            raise _too_old(request_id)
        key, met = found
        last = LastDecision(
            request_id,
            charge.feature or "",
            part.units,
            part.at_ms,
            charge.fingerprint,
            part.reason,
            part.refund_id,
            back,
        )
        returns: dict[str, int] = {}
        for pool, units in back:
            returns[pool] = returns.get(pool, 0) + units
        return [
            update_of(self._limits, *key, change_of(met, refund(met, last))),
            *return_writes(self._limits, by_pool(charge.region, org_id, charge.meter, user_id, returns)),
        ]

    def _charged(self, there: Dynamo, charge: LedgerEntry, units: int) -> tuple[keys.Key, Allotment] | None:
        """Read the allotment a charge was booked into, with its key: of a commit the one its units came from.

        That may be of the period before the one in which it was committed.
        """
        allotments = Allotments(there, self._limits, charge.region)
        org_id, user_id, request_id = charge.org_id, charge.user_id or "", charge.request_id or ""
        name = committed(request_id)
        if name is None:
            return allotments.at(org_id, user_id, charge.meter, to_millis(charge.at), request_id, units)
        item = there.get(self._limits, *keys.reservation(charge.region, name))
        if item is None:
            return None
        key = allotments.key(org_id, user_id, charge.meter, reservation_from_item(item).period)
        met = allotments.read(key)
        return (key, met) if met and met.kept >= units else None

    def _charge(self, org_id: str, user_id: str, request_id: str, meters: list[str]) -> LedgerEntry:
        """Find the charge on a request, of several the first; every region that answers is asked for its own."""
        found = self._on_record(org_id, user_id, request_id, meters)
        if not found:
            pending = self._pending(org_id, user_id, request_id, meters)
            # Meanwhile it may have come into the ledger, and left the ring.
            found = self._on_record(org_id, user_id, request_id, meters)
            if pending and not found:
                raise ConflictError(
                    "this request was charged a moment ago and is not on record yet", hint="retry in a second"
                )
        if not found:
            if any(map(self._peers.away, self._peers.others)):
                raise UnavailableError("the charge is not known here, and another region does not answer")
            raise NotFoundError(f"user {user_id!r} was not charged for request {request_id!r}")
        if len({entry.meter for entry in found}) > 1:
            raise ConflictError(
                f"request {request_id!r} was charged on several meters", hint="say which: give meter"
            )
        return min(found, key=lambda entry: (entry.at, entry.region))

    def _on_record(self, org_id: str, user_id: str, request_id: str, meters: list[str]) -> list[LedgerEntry]:
        found = [self._copies.find(org_id, user_id, meter, request_id) for meter in meters]
        for region in self._peers.others:
            with suppress(UnavailableError), self._peers.reach(region) as there:
                own = Ledger(there, self._ledger, region, [region])
                found += [own.find(org_id, user_id, meter, request_id) for meter in meters]
        return [entry for entry in found if entry is not None]

    def _pending(self, org_id: str, user_id: str, request_id: str, meters: Iterable[str]) -> bool:
        """Whether an allotment remembers the request."""
        mark = RequestIdentity.of(request_id).mark
        for region in [self._peers.region, *self._peers.others]:
            with suppress(UnavailableError), self._peers.reach(region) as there:
                allotments = Allotments(there, self._limits, region)
                for meter in meters:
                    newest = allotments.earlier(org_id, user_id, meter, _LATEST)
                    if any(mark in allotment.ring for _, allotment in newest):
                        return True
        return False


def _repeated(charge: LedgerEntry, account: RefundAccount, met: RefundPart, asked: RefundPart) -> RefundView:
    if met.fingerprint != asked.fingerprint:
        raise IdempotencyMismatchError(
            f"refund id {asked.refund_id!r} was used before with another body",
            hint="use a new refund id for a new refund",
        )
    before = account.before(met.refund_id)
    return RefundView(charge, met, before + met.units, given_back(charge.spent, before, met.units))


def _too_old(request_id: str) -> ConflictError:
    return ConflictError(f"what request {request_id!r} was charged to is not kept any more: it cannot be refunded")


def _account_of(item: Item | None, charge: LedgerEntry) -> RefundAccount:
    parts: list[list[Any]] = item["parts"] if item else []
    return RefundAccount(charge.units, tuple(RefundPart(*part) for part in parts))


def _account_write(table: str, key: keys.Key, seen: RefundAccount, new: RefundAccount) -> Wire:
    """Make the write that enters a refund into a charge's account, if nobody entered one meanwhile."""
    parts = [[p.refund_id, p.units, p.at_ms, p.reason, p.fingerprint] for p in new.parts]
    values = {"refunded": new.refunded, "charged": new.charged, "parts": parts}
    values["ttl"] = new.parts[-1].at_ms // 1000 + _KEPT_SECONDS
    guard = "attribute_not_exists(pk)"
    if seen.parts:
        guard, values["seen"] = "refunded = :seen", seen.refunded
    update = "SET refunded = :refunded, charged = :charged, #parts = :parts, #ttl = :ttl"
    return update_of(table, *key, expression(update, guard, **values))
