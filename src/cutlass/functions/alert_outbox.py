"""Stream consumer of the alerts table: one message for each alert to be told, in the region that recorded it.

The record is the outbox: it is written with what makes it known as told, and the stream brings it until there is a
message. One that was sent twice is told once, by the delivery log.
"""

from typing import Any

from cutlass.storage import open_store

QUEUE = "notifications"


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Send the messages of a batch; the first record whose message was not taken comes again with the rest."""
    store = open_store()
    found = [(record, message) for record in event["Records"] if (message := message_of(record, store.region))]
    if not found:
        return {"batchItemFailures": []}
    lost = store.queues.send_all(QUEUE, [message for _, message in found])
    sequences = [found[place][0]["dynamodb"]["SequenceNumber"] for place in sorted(lost)]
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in sequences]}


def message_of(record: dict[str, Any], region: str) -> dict[str, Any] | None:
    """The message of an alert that this region has just recorded and is to tell; None for anything else."""
    change = record["dynamodb"]
    image = change.get("NewImage", {})
    owner, sort_key = change["Keys"]["pk"]["S"].partition("#")[0], change["Keys"]["sk"]["S"]
    if owner != region or not sort_key.startswith("alert#") or "tell" not in image or "OldImage" in change:
        return None
    return {"v": 1, "org_id": image["org"]["S"], "alert_id": image["alert_id"]["S"]}
