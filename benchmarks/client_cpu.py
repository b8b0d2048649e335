"""Measures the CPU time of a decision's write on the client's side: our client and boto3, without a network.

Both send the same UpdateItem and read the same answer; the answer comes from memory. CPU time depends little
on what else the machine does.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe, in_words
from benchmarks.subjects import Boto3Client
from cutlass.domain.allotments import Allotment, Chunk, LastDecision, Spend, Verdict
from cutlass.domain.ids import RequestIdentity, new_request_id
from cutlass.platform.local import base_environment
from cutlass.storage.allotments import Allotments
from cutlass.storage.codec import encode_item
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.items import allotment_to_item

AWS_REGION, TABLE = "eu-west-2", "cutlass-tech-usage-credits-dev"
_NOWHERE = "http://127.0.0.1:9"
_MARKS, _NOW_MS = 20, 1_795_000_000_000
_BATCHES, _BATCH = 7, 500


class _Response:
    """What urllib3 gives botocore: an answer that is already here."""

    status = 200

    def __init__(self, data: bytes) -> None:
        self.data = data

    def stream(self) -> list[bytes]:
        """Return the body in pieces, as botocore reads it."""
        return [self.data]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client_cpu", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    os.environ.update(base_environment())
    answer = json.dumps({"Attributes": encode_item(_item())}).encode()
    ours, theirs = _write(Allotments(_our_client(answer), TABLE, "london")), _write(_boto3_allotments(answer))
    figures: dict[str, list[float]] = {"our client": [], "boto3 client": []}
    for _ in range(_BATCHES):
        figures["our client"].append(_cpu_us(ours))
        figures["boto3 client"].append(_cpu_us(theirs))
    medians = {name: round(statistics.median(values), 1) for name, values in figures.items()}
    machine = describe("python -m benchmarks.client_cpu")
    _show(medians, machine)
    if options.json:
        document = {"machine": machine, "cpu_us": medians}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _item() -> dict[str, Any]:
    """Make an allotment as it is at 20 decisions a second."""
    ring = frozenset(RequestIdentity.of(new_request_id(_NOW_MS + n), "body").mark for n in range(_MARKS))
    last = LastDecision(new_request_id(_NOW_MS), "default", 1, _NOW_MS, 1)
    held = (Chunk("010#9999999999999#requests:plan-20261101T0000", 200, _NOW_MS * 2),)
    allotment = Allotment(
        rev=1,
        plan="enterprise",
        limit=None,
        rights=10**12,
        unbacked=10**12 - 200,
        available=100,
        used=100,
        total=100,
        drawn=200,
        seq=101,
        refills=2,
        refilled_ms=_NOW_MS,
        chunk=200,
        ring=ring,
        held=held,
        last=last,
    )
    return allotment_to_item(allotment, "london#org#user#allotments", "requests#20261101T0000", _NOW_MS)


def _our_client(answer: bytes) -> Dynamo:
    client = Dynamo(AWS_REGION, endpoint=_NOWHERE)
    client._transport.exchange = lambda *_: (200, answer)  # type: ignore[method-assign]
    return client


def _boto3_allotments(answer: bytes) -> Allotments:
    client = boto3.client("dynamodb", region_name=AWS_REGION, endpoint_url=_NOWHERE)
    headers = {"content-type": "application/x-amz-json-1.0"}

    def send(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, headers, _Response(answer))

    client.meta.events.register("before-send.dynamodb", send)
    return Allotments(Boto3Client(client), TABLE, "london")  # type: ignore[arg-type]


def _write(allotments: Allotments) -> Callable[[], None]:
    key = allotments.key("org", "user", "requests", "20261101T0000")

    def write() -> None:
        identity = RequestIdentity.of(new_request_id(_NOW_MS), "body")
        consumed = allotments.consume(key, Spend(identity, "default", 1, 1, _NOW_MS))
        if consumed.verdict is not Verdict.TAKEN:
            raise RuntimeError(str(consumed.verdict))

    return write


def _cpu_us(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(_BATCH):
        call()
    return 1e6 * (time.process_time() - began) / _BATCH


def _show(medians: dict[str, float], machine: dict[str, str | int]) -> None:
    table = Table(title=f"CPU time of one write, median of {_BATCHES} × {_BATCH}")
    table.add_column("client")
    table.add_column("µs", justify="right")
    table.add_column("ratio", justify="right")
    for name, value in medians.items():
        table.add_row(name, f"{value:.0f}", f"{value / medians['our client']:.2f}")
    console = Console()
    console.print(in_words(machine))
    console.print(table)


if __name__ == "__main__":
    main()
