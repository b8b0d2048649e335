"""What every worker does for `crew`: make what it needs, or call and print what it met.

A worker is a process, because Python threads share an interpreter and peers have environments of their own. It
says `ready` on stdout when all its clients may begin, begins when it reads a line, and prints a `Round` as JSON.
Only the standard library is imported here, so that a peer in another environment is measured by the same code;
`limiter.cjs` speaks the same in JavaScript.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

from benchmarks.load import Call, run

ORG = "bench"
USERS = tuple(f"user{number}" for number in range(64))
"""Clients take the users in turn, so that a user's rate stays one that a user has."""

PLENTY = 10**9
"""Units of whoever is not to come to an end."""

_LONGEST = 300.0


class Subject(Protocol):
    """A way to keep a user's and the organisation's limit."""

    def prepare(self, cap: int | None) -> None:
        """Make tables and users, once for an engine; with a cap the organisation has so many units."""

    def decide(self, user: str) -> bool:
        """Ask for one unit; False if refused. Threads call it side by side."""


def serve(make: Callable[[argparse.Namespace], Subject], arguments: Sequence[str] | None = None) -> None:
    """Do what one worker is asked for on its command line."""
    options = _parser().parse_args(arguments)
    subject = make(options)
    if options.prepare:
        subject.prepare(options.cap)
        return
    for _ in range(options.warm):
        for user in USERS:
            if not subject.decide(user):
                raise RuntimeError(f"{user} was refused at once")
    calls = [_client(subject, options.first + number) for number in range(options.clients)]
    measured = run(calls, options.seconds, times=options.times, ready=_await_the_others)
    json.dump(asdict(measured), sys.stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="One worker of python -m benchmarks.peers.")
    parser.add_argument("subject")
    parser.add_argument("--endpoint", required=True, help="address of the engine")
    parser.add_argument("--aws-region", required=True)
    parser.add_argument("--region", required=True, help="our name of the region")
    parser.add_argument("--peers", type=json.loads, default={}, help="addresses of all regions, as JSON")
    parser.add_argument("--delay-ms", type=int, default=0, help="round trip to the region that decides")
    parser.add_argument("--prepare", action="store_true", help="make what is needed, and end")
    parser.add_argument("--cap", type=int, help="units of the organisation; plenty unless given")
    parser.add_argument("--warm", type=int, default=0, help="decisions of every user before all begin")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first client")
    parser.add_argument("--seconds", type=float, default=_LONGEST)
    parser.add_argument("--times", type=int, help="calls of each client, instead of as many as there is time for")
    return parser


def _client(subject: Subject, number: int) -> Call:
    turn = number

    def call() -> bool:
        nonlocal turn
        turn += 1
        return subject.decide(USERS[turn % len(USERS)])

    return call


def _await_the_others() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
