"""The delivery log, what is held back, suppressed addresses, and why messages failed; all in the table `alerts`.

An entry is put, or changed on condition that it is as it was seen: of two consumers that claim a delivery one
gets it. Entries of other regions are read, never written: after a region was lost its alerts are told by another,
which does not tell again what this region can see to have been sent.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from cutlass.domain.deliveries import (
    FINAL,
    Channel,
    Delivery,
    Status,
    Verdict,
    claimed,
    finished,
    same_address,
    verdict,
)
from cutlass.domain.periods import to_millis
from cutlass.storage import keys
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import (
    ConditionFailedError,
    Dynamo,
    TransactionFailedError,
    absent,
    expression,
    put_of,
)

_KEPT_SECONDS = 400 * 86_400
_FAILURES_KEPT_SECONDS = 28 * 86_400  # twice as long as any queue keeps a message


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that is held back until it is due."""

    org_id: str
    alert_id: str
    target: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class Suppression:
    """A mail address that is not written to any more, and why."""

    address: str
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message failed last, and how often it had been received by then."""

    queue: str
    message_id: str
    error: str
    receives: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of an alert's deliveries.

    Entries are by `same_address` of the recipient, the webhook's under an empty one; `suppressed` says of an
    address why it is not written to.
    """

    entries: dict[str, Delivery]
    suppressed: dict[str, str]


class Deliveries:
    """The deliveries of one region, and its copies of the others'.

    Parameters
    ----------
    table : str
        The full name of the table `alerts`.
    """

    def __init__(
        self, dynamo: Dynamo, table: str, region: str, regions: Iterable[str], clock: Callable[[], datetime]
    ) -> None:
        self._dynamo = dynamo
        self._table = table
        self.region = region
        self._regions = list(regions)
        self._clock = clock

    def now_ms(self) -> int:
        """The time in milliseconds since 1970."""
        return to_millis(self._clock())

    def look(self, org_id: str, alert_id: str, addresses: Iterable[str] = ()) -> Sight:
        """Read, in one request, all that is known of an alert's webhook and of its mails to these addresses."""
        wanted = [same_address(address) for address in addresses]
        entries = {
            (region, name): self._named(region, org_id, alert_id, name)
            for region in self._regions
            for name in ("", *wanted)
        }
        stops = {
            (region, address): keys.suppression(region, address) for region in self._regions for address in wanted
        }
        found = self._dynamo.batch_get({self._table: [*entries.values(), *stops.values()]})
        seen = {
            place: _from_item(found[self._table, *key])
            for place, key in entries.items()
            if (self._table, *key) in found
        }
        suppressed = {
            address: found[self._table, *key]["reason"]
            for (_, address), key in stops.items()
            if (self._table, *key) in found
        }
        known = {name: self._best(name, seen) for name in ("", *wanted)}
        return Sight({name: entry for name, entry in known.items() if entry}, suppressed)

    @staticmethod
    def _named(region: str, org_id: str, alert_id: str, name: str) -> keys.Key:
        return keys.delivery(region, org_id, alert_id, Channel.MAIL if name else Channel.WEBHOOK, name)

    def _best(self, name: str, seen: dict[tuple[str, str], Delivery]) -> Delivery | None:
        """Of what the regions have of a delivery: what is over anywhere, else this region's own."""
        over = (entry for (_, known), entry in seen.items() if known == name and entry.status in FINAL)
        return next(over, None) or seen.get((self.region, name))

    def of(self, org_id: str, alert_id: str) -> list[Delivery]:
        """Read an alert's entries in the delivery log, of all regions."""
        partitions = [keys.deliveries(region, org_id, alert_id) for region in self._regions]
        return [_from_item(item) for pk in partitions for item in self._dynamo.query(self._table, pk)]

    def claim(self, fresh: Delivery, seen: Delivery | None, *, held: bool = False) -> Delivery | None:
        """Claim a delivery for one try; None where another did, or it is over.

        Parameters
        ----------
        fresh : Delivery
            Which one it is.
        seen : Delivery or None
            What the log had of it.
        """
        if verdict(seen, self.now_ms(), held=held) is not Verdict.TAKE:
            return None
        attempts = seen.attempts if seen else 0
        mine = claimed(replace(fresh, attempts=attempts), self.now_ms(), secrets.token_hex(8))
        return mine if self._replace(mine, seen) else None

    def finish(self, delivery: Delivery, status: Status, *, reference: str = "", error: str = "") -> None:
        """Write what came of a delivery that was claimed.

        Another who claimed it after this claim had ended writes what came of his own: the log keeps the first that
        handed it over.
        """
        done = finished(delivery, status, self.now_ms(), reference=reference, error=error)
        if not self._replace(done, delivery) and status in FINAL:
            self._overwrite(done)

    def note(self, delivery: Delivery, status: Status, *, error: str = "") -> None:
        """Write the first entry of a delivery, unless there is one."""
        self._put(finished(delivery, status, self.now_ms(), error=error))

    def settle(self, fresh: Delivery, seen: Delivery | None, status: Status, *, error: str = "") -> None:
        """Write that a delivery is over without a try; nothing, where another has it in hand."""
        attempts = seen.attempts if seen else 0
        self._replace(finished(replace(fresh, attempts=attempts), status, self.now_ms(), error=error), seen)

    def hold(self, delivery: Delivery, due_ms: int) -> None:
        """Hold a delivery back, and have it found when it is due; nothing, where the log has it already."""
        kept = replace(delivery, status=Status.HELD, at_ms=self.now_ms(), until_ms=due_ms)
        address = same_address(delivery.target)
        pk, sk = keys.held_delivery(self.region, due_ms, delivery.org_id, delivery.alert_id, address)
        index = {
            "pk": pk,
            "sk": sk,
            "org": delivery.org_id,
            "alert": delivery.alert_id,
            "target": delivery.target,
            "due": due_ms,
        }
        try:
            self._dynamo.transact([put_of(self._table, self._item(kept)), put_of(self._table, index)])
        except TransactionFailedError:
            return

    def due(self) -> Iterator[Held]:
        """Read what was held back and is due, in order of time within each shard."""
        until = f"{self.now_ms():013d}~"
        for shard in range(keys.HELD_SHARDS):
            pk = keys.held(self.region, shard)
            for item in self._dynamo.query(self._table, pk, between=("0", until)):
                yield Held(item["org"], item["alert"], item["target"], item["due"])

    def release(self, held: Held) -> None:
        """Forget that a delivery was held back: it is over."""
        address = same_address(held.target)
        pk, sk = keys.held_delivery(self.region, held.due_ms, held.org_id, held.alert_id, address)
        self._dynamo.delete(self._table, pk, sk)

    def suppress(self, address: str, reason: str) -> bool:
        """Write to an address no more; false where that was so already."""
        pk, sk = keys.suppression(self.region, same_address(address))
        item = {"pk": pk, "sk": sk, "address": address, "reason": reason, "at": self.now_ms()}
        return self._dynamo.put_if_absent(self._table, item) is None

    def mark(self, org_id: str, alert_id: str, address: str, status: Status, error: str) -> None:
        """Write what became of a mail after it was handed over; nothing, where this region did not send it."""
        key = keys.delivery(self.region, org_id, alert_id, Channel.MAIL, same_address(address))
        update = expression(
            "SET #status = :status, #error = :error, #logged = :logged",
            "attribute_exists(pk)",
            status=str(status),
            error=error[:500],
            logged=self.now_ms(),
        )
        try:
            self._dynamo.update(self._table, *key, update)
        except ConditionFailedError:
            return

    def note_failure(self, failure: Failure) -> None:
        """Write why a message failed, over what was written before."""
        pk, sk = keys.consumer_failure(self.region, failure.queue, failure.message_id)
        kept = {"error": failure.error[:1000], "receives": failure.receives, "logged": failure.at_ms}
        self._dynamo.put(
            self._table, {"pk": pk, "sk": sk, "ttl": _ttl(failure.at_ms, _FAILURES_KEPT_SECONDS)} | kept
        )

    def failures(self, queue: str, ids: Iterable[str]) -> dict[str, Failure]:
        """Read why messages of a queue of this region failed last, by message id."""
        wanted = [keys.consumer_failure(self.region, queue, message_id) for message_id in ids]
        return {
            item["sk"]: Failure(queue, item["sk"], item["error"], item["receives"], item["logged"])
            for item in self._dynamo.batch_get({self._table: wanted}).values()
        }

    def log(self, channel: Channel, region: str) -> Iterator[Delivery]:
        """Read a region's entries of a channel, from end to end of the table: for operators, on one machine."""
        for item in self._dynamo.scan(self._table):
            parts = item["pk"].split("#", 3)
            if parts[0] == region and parts[2:3] == ["deliveries"] and item["channel"] == channel:
                yield _from_item(item)

    def _replace(self, entry: Delivery, seen: Delivery | None) -> bool:
        if seen is None:
            return self._put(entry)
        request: dict[str, Any] = {"TableName": self._table} | absent(self._item(entry))
        request |= expression(
            "",
            "#status = :status AND #token = :token",
            status=str(seen.status),
            token=seen.token,
        )
        del request["UpdateExpression"]
        try:
            self._dynamo.call("PutItem", request)
        except ConditionFailedError as failed:
            # A retried write that had succeeded meets itself. Another region's entry is not here to be replaced.
            return failed.item is not None and _from_item(failed.item) == entry
        return True

    def _overwrite(self, entry: Delivery) -> None:
        current = self._dynamo.get(self._table, *self._key(entry))
        if current is None or _from_item(current).status not in FINAL:
            self._dynamo.put(self._table, self._item(entry))

    def _put(self, entry: Delivery) -> bool:
        return self._dynamo.put_if_absent(self._table, self._item(entry)) is None

    def _key(self, entry: Delivery) -> keys.Key:
        address = same_address(entry.target) if entry.channel is Channel.MAIL else ""
        return keys.delivery(self.region, entry.org_id, entry.alert_id, entry.channel, address)

    def _item(self, entry: Delivery) -> Item:
        pk, sk = self._key(entry)
        item: Item = {"pk": pk, "sk": sk, "ttl": _ttl(entry.at_ms, _KEPT_SECONDS)}
        item |= {attribute: getattr(entry, name) for name, attribute in _ATTRIBUTE.items()}
        return item | {"channel": str(entry.channel), "status": str(entry.status)}


_ATTRIBUTE = {
    "org_id": "org",
    "alert_id": "alert",
    "channel": "channel",
    "target": "target",
    "status": "status",
    "attempts": "attempts",
    "at_ms": "logged",
    "until_ms": "until",
    "reference": "reference",
    "error": "error",
    "token": "token",
}
"""The attribute that holds each field of a delivery."""

assert set(_ATTRIBUTE) == {field.name for field in fields(Delivery)}  # noqa: S101 - a field left out would be lost


def _from_item(item: Item) -> Delivery:
    values = {name: item[attribute] for name, attribute in _ATTRIBUTE.items()}
    values |= {"channel": Channel(item["channel"]), "status": Status(item["status"])}
    return Delivery(**values)


def _ttl(at_ms: int, seconds: int) -> int:
    return at_ms // 1000 + seconds
