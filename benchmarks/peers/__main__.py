"""Measures Cutlass and other ways to keep a limit on DynamoDB, in one run on one engine (dynoxide).

Writes benchmarks/results/peers-DATE.json and prints a table. Progress goes to stderr. Nothing here passes or
fails by a time.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from benchmarks import cost
from benchmarks.machine import describe
from benchmarks.peers import catalogue, measure, show
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.results import Results, Row, newest
from cutlass.domain.errors import CutlassError
from cutlass.platform.local import base_environment
from tests.support.engines import DYNOXIDE_HINT, dynoxide_binary

FAILURES = (RuntimeError, subprocess.SubprocessError, CutlassError)
"""What ends the measuring of one peer, and not of the others."""

CAP = 1_000
RATE = 10
"""Decisions per second of one user for whom the cost of Cutlass is counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.update_docs:
        for path in show.update(newest()):
            print(path.relative_to(catalogue.ROOT))
        return 0
    os.environ.update(base_environment())
    if options.install:
        _tell("installing what is missing under build/")
        catalogue.install()
    if dynoxide_binary() is None:
        print(DYNOXIDE_HINT, file=sys.stderr)
        return 1
    chosen = [peer for peer in PEERS if not options.only or peer.key in options.only]
    missing = {peer.key: reason for peer in chosen if (reason := peer.missing())}
    results = Results(describe("python -m benchmarks.peers"), _engine(), catalogue.versions())
    results.skipped += missing.values()
    present = [peer for peer in chosen if peer.key not in missing]
    _measure(results, present, options.seconds, options.rounds, options.cap)
    if not results.rows:
        print("\n".join(["nothing could be measured", *results.skipped]), file=sys.stderr)
        return 1
    path = results.write()
    _tell(f"wrote {path.relative_to(catalogue.ROOT)}")
    print(json.dumps(results.as_dict(), indent=2) if options.json else "\n".join(show.table(results.as_dict())))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--install", action="store_true", help="first install what peers need, under build/")
    parser.add_argument("--only", action="append", choices=[peer.key for peer in PEERS], help="may be repeated")
    parser.add_argument("--seconds", type=_number, default=4.0, metavar="N", help="length of a round (default 4)")
    parser.add_argument("--rounds", type=_whole, default=3, metavar="N", help="rounds, in turns (default 3)")
    parser.add_argument(
        "--cap", type=_whole, default=CAP, metavar="N", help=f"units of the capped organisation (default {CAP})"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--update-docs", action="store_true", help="measure nothing: write the newest results into the documents"
    )
    return parser


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, up to 600")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 100,000")
    return int(text)


def _engine() -> str:
    done = subprocess.run([str(dynoxide_binary()), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def _measure(results: Results, peers: Sequence[Peer], seconds: float, rounds: int, cap: int) -> None:
    """Measure everyone in turns: what else the machine does meets all of them alike. Who fails is left out."""
    met: dict[tuple[str, int], list[measure.Met]] = defaultdict(list)
    failed: set[str] = set()
    for number in range(1, rounds + 1):
        for clients in (1, measure.CLIENTS):
            for peer in (peer for peer in peers if peer.key not in failed):
                _tell(f"round {number} of {rounds}: {peer.name}, clients: {clients}")
                try:
                    met[peer.key, clients].append(measure.speed(peer, clients=clients, seconds=seconds))
                except FAILURES as error:
                    failed.add(peer.key)
                    results.skipped.append(f"{peer.name} failed: {error}")
    for peer in (peer for peer in peers if peer.key not in failed):
        speeds = [measure.summary(clients, met[peer.key, clients]) for clients in (1, measure.CLIENTS)]
        try:
            results.rows.append(_row(peer, speeds, cap))
        except FAILURES as error:
            results.skipped.append(f"{peer.name} failed: {error}")


def _row(peer: Peer, speeds: Sequence[measure.Speed], cap: int) -> Row:
    _tell(f"{peer.name}: counting requests")
    costs = _costs(peer)
    _tell(f"{peer.name}: {measure.CAP_CLIENTS} clients ask for more than {cap:,} units")
    one = measure.capped(peer, cap)
    _tell(f"{peer.name}: the same in two regions")
    return Row(peer, *costs, *speeds, one, measure.capped_in_two_regions(peer, cap))


def _costs(peer: Peer) -> tuple[float, float, float, float]:
    """Return requests, write units, read units and write units of metering per decision.

    Those of Cutlass depend on a user's rate, because refills and batches of the stream do: they are counted at a
    steady one, in simulated time. Those of the others do not.
    """
    if peer.steady:
        found = _steady_cost()
        return (
            round(sum(found.requests.values()), 4),
            found.write_units,
            found.read_units,
            found.metering_write_units,
        )
    counts, decisions = measure.count(peer)
    totals = (sum(counts.requests.values()), counts.write_units, counts.read_units)
    requests, write_units, read_units = (round(total / decisions, 4) for total in totals)
    return requests, write_units, read_units, 0.0


@cache
def _steady_cost() -> cost.Cost:
    return cost.count(measure.ENGINE, RATE)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
