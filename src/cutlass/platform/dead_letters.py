"""Messages that were given up, in every region: looked at, sent back, or dropped.

SQS has no way to look without receiving: what is listed is hidden from others for half a minute at most, and put
back as soon as it was seen. Nothing starts a function from a dead-letter queue, so nobody waits for it meanwhile.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cutlass.contracts import load_functions, load_queues
from cutlass.domain.errors import CutlassError, NotFoundError
from cutlass.platform.errors import PlatformError
from cutlass.platform.operator import open_stores
from cutlass.storage.deliveries import Failure
from cutlass.storage.dynamo import DynamoError

_HIDDEN_SECONDS = 30
_AT_ONCE = 10
MOST = 1_000
"""Messages of one queue that are looked at in one go."""

_NOT_TOLD = "not on record"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message in a queue of those that were given up.

    Attributes
    ----------
    queue, source : str
        The queue it is in, and the one it came from; empty where it was left there by AWS itself.
    receives : int
        How often the consumer had it.
    reason : str
        Why it failed last.
    """

    region: str
    queue: str
    source: str
    message_id: str
    sent_at: float
    receives: int
    reason: str
    body: str
    receipt: str = field(repr=False)
    attributes: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def age_seconds(self) -> int:
        """How long ago it was first sent."""
        return max(0, int(time.time() - self.sent_at))


def dead_queues() -> dict[str, str]:
    """Return the queues of given up messages with the queue each serves: those that start no function.

    Empty for one that streams or schedules fail into.
    """
    queues = load_queues()
    serving = {queue.dead_letter.queue: queue.name for queue in queues.values() if queue.dead_letter}
    functions = load_functions().values()
    consumed = {source.queue for function in functions for source in function.queues}
    failing = {source.on_failure for function in functions for source in function.streams}
    failing |= {source.on_failure for function in functions for source in function.schedules}
    return serving | dict.fromkeys(sorted(failing - consumed - serving.keys()), "")


class DeadLetters:
    """What was given up in an environment, or on the platform that runs in the home folder.

    Raises
    ------
    NotRunningError
        No environment is given, and no platform runs.
    """

    def __init__(self, environment: str | None) -> None:
        self._stores = open_stores(environment)

    def read(self, region: str | None, queue: str | None, limit: int = MOST) -> list[Letter]:
        """Return the letters of the regions and queues that are chosen, the oldest of each first.

        Raises
        ------
        PlatformError
            There is no such region or queue.
        CutlassError
            A queue cannot be read.
        """

        def look(place: tuple[str, str]) -> list[Letter]:
            with self._held(*place, limit) as letters:
                return list(letters)

        chosen = list(self._chosen(region, queue))
        with ThreadPoolExecutor(len(chosen)) as pool:  # an empty queue takes a second
            return [letter for letters in pool.map(look, chosen) for letter in letters]

    def find(self, message_id: str, region: str | None, queue: str | None) -> Letter:
        """Return one letter; raises `NotFoundError` where it is in none of the queues."""
        for letter in self.read(region, queue):
            if letter.message_id == message_id:
                return letter
        raise _missing({message_id})

    def redrive(self, ids: set[str] | None, region: str | None, queue: str | None) -> list[Letter]:
        """Send letters back to the queue they came from, all if no ids are given; return them.

        Each is sent before it is deleted: a crash between the two leaves it twice, which every consumer bears.

        Raises
        ------
        NotFoundError
            Some are not there; the others are done.
        PlatformError
            One came from no queue.
        """

        def back(letter: Letter) -> None:
            if not letter.source:
                raise PlatformError(
                    f"{letter.message_id} in {letter.queue} came from no queue",
                    hint="what runs later does its work: mend the cause, then drop it",
                )
            message: dict[str, Any] = {"MessageBody": letter.body}
            if letter.attributes:
                message["MessageAttributes"] = letter.attributes
            self._stores[letter.region].queues.call("SendMessage", letter.source, message)

        return self._take(ids, region, queue, back)

    def drop(self, ids: set[str] | None, region: str | None, queue: str | None) -> list[Letter]:
        """Delete letters, all if no ids are given; return them. Raises what `redrive` raises."""
        return self._take(ids, region, queue, lambda _: None)

    def _take(self, ids: set[str] | None, region: str | None, queue: str | None, first: Any) -> list[Letter]:
        done: list[Letter] = []
        for name, dead in self._chosen(region, queue):
            if ids is not None and len(done) == len(ids):
                break
            with self._held(name, dead, MOST) as letters:
                for letter in [one for one in letters if ids is None or one.message_id in ids]:
                    first(letter)
                    self._stores[name].queues.call("DeleteMessage", dead, {"ReceiptHandle": letter.receipt})
                    letters.remove(letter)
                    done.append(letter)
        missing = (ids or set()) - {letter.message_id for letter in done}
        if missing:
            raise _missing(missing)
        return done

    def _chosen(self, region: str | None, queue: str | None) -> Iterator[tuple[str, str]]:
        if region is not None and region not in self._stores:
            raise PlatformError(f"there is no region {region!r}", hint=f"there are: {', '.join(self._stores)}")
        dead = dead_queues()
        chosen = [name for name, source in dead.items() if queue in {None, name} or (source and queue == source)]
        if not chosen:
            raise PlatformError(f"there is no dead-letter queue {queue!r}", hint=f"there are: {', '.join(dead)}")
        return ((name, one) for name in ([region] if region else self._stores) for one in chosen)

    @contextmanager
    def _held(self, region: str, dead: str, limit: int) -> Iterator[list[Letter]]:
        """Receive a queue's letters, and put back those that are left in the list at the end."""
        letters: list[Letter] = []
        try:
            while len(letters) < limit:
                received = self._receive(region, dead, min(_AT_ONCE, limit - len(letters)))
                if not received:
                    break
                letters += received
            letters.sort(key=lambda letter: letter.sent_at)
            yield letters
        finally:
            self._put_back(region, dead, letters)

    def _receive(self, region: str, dead: str, most: int) -> list[Letter]:
        source = dead_queues()[dead]
        request = {
            "MaxNumberOfMessages": most,
            "VisibilityTimeout": _HIDDEN_SECONDS,
            "WaitTimeSeconds": 1,  # asks every server of the queue; else a few messages are overlooked
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        answer = self._stores[region].queues.call("ReceiveMessage", dead, request)
        messages = answer.get("Messages", [])
        reasons = self._reasons(region, source, [message["MessageId"] for message in messages])
        return [_letter(region, dead, source, message, reasons.get(message["MessageId"])) for message in messages]

    def _put_back(self, region: str, dead: str, letters: list[Letter]) -> None:
        queues = self._stores[region].queues
        for start in range(0, len(letters), _AT_ONCE):
            entries = [
                {"Id": str(place), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for place, letter in enumerate(letters[start : start + _AT_ONCE])
            ]
            queues.call("ChangeMessageVisibilityBatch", dead, {"Entries": entries})

    def _reasons(self, region: str, source: str, ids: list[str]) -> dict[str, Failure]:
        if not source or not ids:
            return {}
        try:
            return self._stores[region].deliveries.failures(source, ids)
        except (CutlassError, DynamoError):
            return {}  # the letters themselves are worth showing without


def _letter(region: str, dead: str, source: str, message: dict[str, Any], failure: Failure | None) -> Letter:
    attributes = message.get("Attributes", {})
    return Letter(
        region=region,
        queue=dead,
        source=source,
        message_id=message["MessageId"],
        sent_at=int(attributes.get("SentTimestamp", 0)) / 1000,
        receives=failure.receives if failure else int(attributes.get("ApproximateReceiveCount", 1)) - 1,
        reason=failure.error if failure else _told_by(message["Body"]),
        body=message["Body"],
        receipt=message["ReceiptHandle"],
        attributes={
            name: {key: value for key, value in attribute.items() if not key.endswith("ListValues")}
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
    )


def _told_by(body: str) -> str:
    """Say what a notice of Lambda's own says of a failure; what else a message says is no reason."""
    try:
        notice = json.loads(body)
        context = notice["requestContext"]
        function = str(context["functionArn"]).split(":")[6]
        times = context["approximateInvokeCount"]
    except (ValueError, KeyError, TypeError, IndexError):
        return _NOT_TOLD
    return f"{function} failed {times} times: {context.get('condition', 'no more is known')}"


def _missing(ids: set[str]) -> NotFoundError:
    return NotFoundError(
        f"not there: {', '.join(sorted(ids))}",
        hint="`cutlass dead-letters list` shows what is; another who looks at it hides it for half a minute",
    )
