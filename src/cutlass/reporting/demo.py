"""A believable year of an organisation that never was, as its ledger would have it.

Every quarter is made by itself, from a seed of its own, and a day only when it is over. So whoever makes the year
again, also on another day, makes the same entries, and the archive holds them once.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from cutlass.domain.ids import digest
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import Plan

if TYPE_CHECKING:
    from cutlass.domain.allotments import Spent

MARK = "demo:"
"""How the request ids of all that is made up begin."""

USERS = ("ann", "bob", "carol", "dave", "erin", "frank", "grace", "nightly-export", "billing-sync", "dashboard")
_METER, _REPORTS = "requests", "reports"
_BOUGHT = 6_000
"""Units of credits that are bought for each quarter."""

_BUSY, _GROWTH, _WEEKEND, _HOLIDAYS = 80, 0.04, 0.35, 0.5
"""Requests of a working day at first, how much more each month, and how much of them on others."""


@dataclass(slots=True)
class _Stock:
    """What is left of one grant; `key` is the pool's."""

    key: str
    left: int


@dataclass(slots=True)
class _Year:
    org_id: str
    plan: Plan
    regions: Sequence[str]
    until: date
    used: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))


def year(org_id: str, plan: Plan, regions: Sequence[str], today: date) -> Iterator[LedgerEntry]:
    """Give the entries of the whole quarters of the last year, and of this one until yesterday, in order of time.

    Parameters
    ----------
    plan : Plan
        A plan by the month, whose included units and users' limits hold.
    """
    books = _Year(org_id, plan, regions, today)
    quarter = date(today.year - 1, today.month - (today.month - 1) % 3, 1)
    while quarter < today:
        yield from _quarter(books, quarter)
        quarter = _months_on(quarter, 3)


def _quarter(books: _Year, start: date) -> Iterator[LedgerEntry]:
    rng = random.Random(f"{books.org_id} {start}")  # noqa: S311 - not a secret
    end = _months_on(start, 3)
    bought_at = _moment(start, 9 * 3600)
    entry, paid = _grant(books, _METER, f"bought-{start:%Y%m}", "paid", 50, _BOUGHT, bought_at, bought_at, end)
    yield entry
    month = start
    while month < min(end, books.until):
        yield from _month(books, rng, month, paid)
        month = _months_on(month, 1)
    if end <= books.until:
        yield from _expired(books, _METER, paid, end)


def _month(books: _Year, rng: random.Random, month: date, paid: _Stock) -> Iterator[LedgerEntry]:
    books.used.clear()
    end, stocks = _months_on(month, 1), {}
    for meter in (_METER, _REPORTS):
        name, amount = f"plan-{month:%Y%m%dT0000}", books.plan.meters[meter].included
        ahead, begins = _moment(month, -6 * 3600), _moment(month)
        entry, stocks[meter] = _grant(books, meter, name, "plan", 10, amount, ahead, begins, end)
        yield entry
    day = month
    while day < min(end, books.until):
        yield from _day(books, rng, day, stocks, paid)
        day += timedelta(days=1)
    if end <= books.until:
        for meter, stock in stocks.items():
            yield from _expired(books, meter, stock, end)


def _day(
    books: _Year, rng: random.Random, day: date, stocks: dict[str, _Stock], paid: _Stock
) -> Iterator[LedgerEntry]:
    months = min(60, max(0, (day.year - 2025) * 12 + day.month))
    busy = _BUSY * (1 + _GROWTH * months) * (_WEEKEND if day.weekday() > 4 else 1)
    if (day.month, day.day) >= (12, 23):
        busy *= _HOLIDAYS
    asked = []
    for _ in range(max(3, int(rng.gauss(busy, busy / 8)))):
        user = USERS[min(len(USERS) - 1, int(rng.expovariate(0.22)))]
        hours = rng.gauss(2.5, 0.4) if "-" in user else rng.gauss(13.5, 3.2)
        feature = "data.query" if rng.random() < 0.2 else "default"
        asked.append((min(86_399.0, max(0.0, hours * 3600 + rng.random() * 60)), user, feature, rng.random()))
    if day.weekday() == 0:
        asked.append((8 * 3600 + rng.random() * 3600, "ann", "report.export", rng.random()))
    for seconds, user, feature, chance in sorted(asked):
        meter = _REPORTS if feature == "report.export" else _METER
        units = {"report.export": 5, "data.query": 2}.get(feature, 1 if chance < 0.8 else 3)
        region = books.regions[0] if chance < 0.68 or len(books.regions) == 1 else books.regions[1]
        at = _moment(day, seconds)
        made = _decided(books, region, at, user, feature, meter, units, [stocks[meter], paid])
        yield made
        if made.kind is EntryKind.DECISION and chance > 0.997:
            yield _refund(books, made, [stocks[meter], paid])


def _decided(
    books: _Year,
    region: str,
    at: datetime,
    user: str,
    feature: str,
    meter: str,
    units: int,
    stocks: list[_Stock],
) -> LedgerEntry:
    """Allow or refuse a request as the rules would: within the user's limit, from the first grant with units."""
    limit, used = books.plan.meters[meter].user_limit, books.used[user, meter]
    reason: str | None = None
    spent: Spent = ()
    if limit is not None and used + units > limit:
        reason = "user_limit_reached"
    else:
        stock = next((one for one in stocks[: 1 if meter == _REPORTS else 2] if one.left >= units), None)
        if stock is None:
            reason = "credits_exhausted"
        else:
            stock.left -= units
            books.used[user, meter] += units
            spent = ((stock.key, units),)
    request_id = f"{MARK}{at:%Y%m%dT%H%M%S.%f}-{user}"
    kind = EntryKind.DECISION if reason is None else EntryKind.REFUSAL
    return LedgerEntry(
        kind=kind,
        entry_id=_name(books, request_id),
        at=at,
        region=region,
        org_id=books.org_id,
        meter=meter,
        units=units,
        before=used,
        after=books.used[user, meter],
        user_id=user,
        feature=feature,
        request_id=request_id,
        reason=reason,
        plan=books.plan.name,
        limit=limit,
        spent=spent,
    )


def _refund(books: _Year, charge: LedgerEntry, stocks: list[_Stock]) -> LedgerEntry:
    ((key, units),) = charge.spent
    next(stock for stock in stocks if stock.key == key).left += units
    user = (charge.user_id or "", charge.meter)
    books.used[user] -= units
    return LedgerEntry(
        kind=EntryKind.REFUND,
        entry_id=_name(books, f"refund{charge.entry_id}"),
        at=charge.at + timedelta(milliseconds=400),
        region=charge.region,
        org_id=books.org_id,
        meter=charge.meter,
        units=units,
        before=charge.after,
        after=books.used[user],
        user_id=charge.user_id,
        feature=charge.feature,
        request_id=charge.request_id,
        reason="the answer was empty",
        plan=charge.plan,
        limit=charge.limit,
        spent=charge.spent,
    )


def _grant(
    books: _Year,
    meter: str,
    name: str,
    category: str,
    priority: int,
    amount: int,
    at: datetime,
    begins: datetime,
    ends: date,
) -> tuple[LedgerEntry, _Stock]:
    grant_id = f"{meter}:{name}"
    key = f"{priority:03d}#{to_millis(_moment(ends)):013d}#{grant_id}"
    entry = LedgerEntry(
        kind=EntryKind.GRANT,
        entry_id=grant_id,
        at=at,
        region=books.regions[0],
        org_id=books.org_id,
        meter=meter,
        units=amount,
        before=0,
        after=amount,
        reason=category,
        request_id=f"{MARK}{grant_id}",
        spent=((key, amount),),
        effective_at=begins,
    )
    return entry, _Stock(key, amount)


def _expired(books: _Year, meter: str, stock: _Stock, end: date) -> Iterator[LedgerEntry]:
    if stock.left:
        yield LedgerEntry(
            kind=EntryKind.EXPIRY,
            entry_id=_name(books, f"expiry{stock.key}"),
            at=_moment(end, 20),
            region=books.regions[0],
            org_id=books.org_id,
            meter=meter,
            units=stock.left,
            before=stock.left,
            after=0,
            reason="expired",
            request_id=f"{MARK}{stock.key.rpartition('#')[2]}",
            spent=((stock.key, stock.left),),
        )


def _name(books: _Year, of: str) -> str:
    return digest(MARK, books.org_id, of)[:16].hex()


def _moment(day: date, seconds: float = 0.0) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(seconds=round(seconds, 3))


def _months_on(month: date, count: int) -> date:
    years, place = divmod(month.month - 1 + count, 12)
    return date(month.year + years, place + 1, 1)
