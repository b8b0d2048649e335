"""The histories notice when a rule is wrong: each deliberate bug must make one of them fail.

A mutant that survives means that the rule it breaks is not tested. The scenarios come first, because they
are quick; the search behind them is derandomised, so that a mutant found today is found tomorrow.
"""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cutlass.domain import (
    allotments,
    depots,
    grants,
    metering,
    organisations,
    pools,
    rebalancing,
    refills,
    refunds,
    reservations,
    transfers,
)
from cutlass.domain.allotments import Verdict
from cutlass.domain.ids import FRESH_MS
from cutlass.domain.ledger import EntryKind
from cutlass.domain.organisations import User
from cutlass.domain.pools import Pool
from cutlass.domain.refunds import RefundAccount
from tests.property import holding
from tests.property.machine import Histories
from tests.property.model import TOPOLOGY, Company
from tests.property.places import Region
from tests.property.scenarios import SCENARIOS, play

SEARCH = settings(
    max_examples=100,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

Rule = Callable[..., Any]
Mutant = tuple[ModuleType | type, str, Callable[[Rule], Rule]]


def changed(module: ModuleType | type, name: str, change: Callable[..., Any]) -> Mutant:
    """A rule whose answer is spoilt: `change` takes the right answer and what was asked."""
    return module, name, lambda right: lambda *args, **options: change(right(*args, **options), *args)


def asked(module: ModuleType | type, name: str, change: Callable[..., tuple[Any, ...]]) -> Mutant:
    """A rule that is asked something else: `change` takes the arguments and gives others."""
    return module, name, lambda right: lambda *args, **options: right(*change(*args), **options)


def _stale_settle(settled, allotment, *_):
    """Chunks keep the numbers they had before others left."""
    old = {chunk.pool: chunk for chunk in allotment.held}
    held = tuple(old[chunk.pool] for chunk in settled.allotment.held)
    return replace(settled, allotment=replace(settled.allotment, held=held))


def _lossy_settle(settled, *_):
    """What goes back to the pools is forgotten by one unit."""
    returns = {pool: units - 1 for pool, units in settled.returns.items() if units > 1}
    return replace(settled, returns=returns)


def _released_own(released, allotment):
    """The rights of units of a user's own grants stay behind as if they were of the user's limit."""
    back = released.allotment.returned - allotment.returned
    return replace(
        released,
        allotment=replace(
            released.allotment, unbacked=allotment.unbacked + back, released=allotment.released + back
        ),
    )


def _hoarding_settle(settled, allotment, *_):
    """The rights that backed expired units end with them."""
    freed = settled.allotment.released - allotment.released
    left = settled.allotment.unbacked - freed
    return replace(settled, allotment=replace(settled.allotment, unbacked=left, released=allotment.released))


def _generous_settle(settled, allotment, *_):
    """Expired units of a user's own grants become rights of the user's limit."""
    more = settled.expired - (settled.allotment.released - allotment.released)
    new = settled.allotment
    return replace(settled, allotment=replace(new, unbacked=new.unbacked + more, released=new.released + more))


def _all_to_one_pool(back, spent, *_):
    """The pool that paid last gets everything back."""
    return ((spent[-1][0], sum(units for _, units in back)),) if back else ()


def _refund_frees_own(refunded, allotment, last):
    """The rights of refunded units of a user's own grants become rights of the user's limit."""
    return replace(refunded, unbacked=allotment.unbacked + last.units, released=allotment.released + last.units)


def _from_the_back(taken, allotment, units):
    """The units set aside are taken for those that would be spent last."""
    chunks = reversed(allotments.unspent(allotment))
    parts = [reservations.Part(chunk.pool, min(left, units), chunk.expires_ms) for chunk, left in chunks]
    return tuple(parts[: len(taken[0])]), taken[1]


def _hoarding_end(ending, allotment, *_):
    """The rights that backed what goes back end with it."""
    new = ending.allotment
    left = new.unbacked - (new.released - allotment.released)
    return replace(ending, allotment=replace(new, unbacked=left, released=allotment.released))


def _generous_end(ending, allotment, reservation, spent, _):
    """What goes back of a user's own grants becomes rights of the user's limit."""
    back, new = max(0, reservation.units - spent), ending.allotment
    more = back - (new.released - allotment.released)
    return replace(ending, allotment=replace(new, unbacked=new.unbacked + more, released=new.released + more))


def _named_after_plans(missing, _, plan, *__):
    """The parts of later upgrades have the plan's name, so that two upgrades at once both land."""
    return [replace(g, grant_id=f"{g.grant_id.partition('@')[0]}@{plan.name}") for g in missing]


def _whatever_is_first(_left, depot, draws, *_):
    """The depot hands over the units it holds first, whatever was planned."""
    units = sum(draw.units for draw in draws)
    if units > depot.available:
        return None
    more = {"handed": depot.handed + units, "released": depot.released + units, "unbacked": depot.unbacked + units}
    return replace(depot, available=depot.available - units, seq=depot.seq + 1, **more)


def _without_limit(allotment, live, units, now_ms):
    return replace(allotment, unbacked=10**6), live, units, now_ms


def _without_the_first(allotment, live, units, now_ms):
    return allotment, sorted(live, key=lambda pool: pool.order)[1:] or live, units, now_ms


def _as_decision(event):
    refunded = event.entry is not None and event.entry.kind is EntryKind.REFUND
    return replace(event, entry=replace(event.entry, kind=EntryKind.DECISION)) if refunded else event


MUTANTS: dict[str, Mutant] = {
    "judge forgets the ring": asked(allotments, "judge", lambda a, s: (replace(a, ring=frozenset()), s)),
    "judge forgets the watermark": asked(allotments, "judge", lambda a, s: (replace(a, mark_ms=0), s)),
    "judge forgets the fence": asked(
        allotments, "judge", lambda a, s: (a, s if s.fence is None else replace(s, fence=a.trims))
    ),
    "judge takes a late id": changed(
        allotments, "judge", lambda verdict, a, s: Verdict.TAKEN if verdict is Verdict.LATE else verdict
    ),
    "judge forgets expiry": asked(allotments, "judge", lambda a, s: (replace(a, until_ms=10**15), s)),
    "judge gives one unit too many": asked(
        allotments, "judge", lambda a, s: (replace(a, available=a.available + 1), s)
    ),
    "consume does not remember": changed(allotments, "consume", lambda taken, a, s: replace(taken, ring=a.ring)),
    "consume takes a unit less": changed(
        allotments, "consume", lambda taken, a, s: replace(taken, available=taken.available + 1)
    ),
    "trim leaves the watermark": changed(
        allotments, "trim", lambda chosen, ring, mark, now: chosen and replace(chosen, mark_ms=mark)
    ),
    "settle does not shift what stays": changed(allotments, "settle", _stale_settle),
    "settle loses units on the way": changed(allotments, "settle", _lossy_settle),
    "settle keeps expired units": asked(allotments, "settle", lambda a, now: (a, 0)),
    "settle lets rights expire with units": changed(allotments, "settle", _hoarding_settle),
    "settle frees rights of a user's own units": changed(allotments, "settle", _generous_settle),
    "refill leaves the user's limit": changed(
        refills, "refill", lambda filled, a, *_: replace(filled, unbacked=a.unbacked)
    ),
    "refill forgets a user's own grants": changed(
        refills, "refill", lambda filled, a, *_: replace(filled, extra=a.extra)
    ),
    "refill is not guarded": changed(refills, "refill", lambda filled, a, *_: replace(filled, refills=a.refills)),
    "a refill looks at no limit": asked(refills, "plan_refill", _without_limit),
    "a refill looks at no priority": asked(refills, "plan_refill", _without_the_first),
    "adopt mints the share again": changed(
        refills,
        "adopt",
        lambda new, a: replace(new, rights=new.rights + 5, unbacked=new.unbacked + 5),
    ),
    "mint gives every region the whole grant": changed(
        pools, "mint", lambda pool, grant, region, **_: replace(pool, minted=grant.amount, available=grant.amount)
    ),
    "mint forgets a void": (pools, "mint", lambda right: lambda grant, region, **_: right(grant, region)),
    "a voided pool is live": (Pool, "live", lambda _: lambda pool, now: pool.starts_ms <= now < pool.expires_ms),
    "an upgrade is named after its plan": changed(grants, "missing_grants", _named_after_plans),
    "a voided grant counts": asked(
        grants,
        "missing_grants",
        lambda org, plan, period, regions, old: (org, plan, period, regions, [(g, False) for g, _ in old]),
    ),
    "a grant written ahead stays": changed(grants, "superseded_grants", lambda *_: []),
    "a move divides rights at once": (User, "region_in", lambda _: lambda user, period: user.usual_region),
    "a move never holds": (User, "region_in", lambda _: lambda user, period: user.former_region),
    "a second move forgets the first": changed(
        organisations,
        "change_user",
        lambda new, old, **_: (
            replace(new, former_region=old.usual_region) if new.moved_at != old.moved_at else new
        ),
    ),
    "a newborn forgets ids ahead": changed(
        Company, "watermark", lambda _, company, region, *__: company.period(region).start_ms + FRESH_MS
    ),
    "an upgrade grants all anew": changed(
        grants,
        "missing_grants",
        lambda missing, org, plan, *_: [
            replace(g, amount=all_of, split=TOPOLOGY.split(all_of, org.home_region))
            for g in missing
            if (all_of := plan.meters[g.meter].included)
        ],
    ),
    "accept adds what was sent altogether": asked(
        transfers, "accept", lambda pool, origin, total: (pool, origin, total + pool.accepted.get(origin, 0))
    ),
    "accepted rights add up": asked(
        transfers, "accept_rights", lambda a, origin, total: (a, origin, total + a.accepted.get(origin, 0))
    ),
    "sent rights stay": changed(transfers, "send_rights", lambda sent, a, *_: replace(sent, unbacked=a.unbacked)),
    "release frees rights that came with units": changed(allotments, "release", _released_own),
    "a refund is forgotten": changed(RefundAccount, "part", lambda *_: None),
    "a refund may exceed its charge": (
        RefundAccount,
        "left",
        lambda _: property(lambda account: account.charged - account.refunded + 5),
    ),
    "a refund goes to one of the pools that paid": changed(refunds, "given_back", _all_to_one_pool),
    "a refund goes back in the order of spending": asked(
        refunds, "given_back", lambda spent, before, units: (spent, 0, units)
    ),
    "a refund of a user's own units frees rights": changed(refunds, "refund", _refund_frees_own),
    "a refund keeps the rights": changed(
        refunds, "refund", lambda new, a, _: replace(new, unbacked=a.unbacked, released=a.released)
    ),
    "a refund does not return what it refunds": changed(
        refunds, "refund", lambda new, a, _: replace(new, returned=a.returned)
    ),
    "an ended pool forgets its units": changed(
        pools, "end", lambda ended, pool, _: replace(ended, expired=pool.expired, burned=pool.burned)
    ),
    "an ended pool keeps its units": changed(pools, "end", lambda _, pool, *__: pool),
    "a pool ends before its time": asked(pools, "end", lambda pool, now: (pool, now + 86_400_000)),
    "metering counts a refund as use": changed(
        metering, "event_of", lambda event, *_: event and _as_decision(event)
    ),
    "the ledger takes the last pools for those that paid": asked(
        metering, "spent_of", lambda a, units: (replace(a, held=a.held[::-1]), units)
    ),
    "a sweep forgets units": changed(allotments, "release", _lossy_settle),
    "a sweep gives back what was spent": asked(
        allotments, "release", lambda a: (replace(a, used=0, available=a.available + a.used),)
    ),
    "a region gives more than it has": changed(rebalancing, "to_give", lambda units, there, *_: units + 1),
    "a region pushes all to everybody": changed(
        rebalancing, "to_push", lambda _, here, others: dict.fromkeys(others, here.available)
    ),
    "what is set aside can still be spent": changed(
        reservations, "set_aside", lambda aside, a, _: (aside[0], replace(aside[1], available=a.available))
    ),
    "a reservation forgets where its units came from": changed(
        reservations, "set_aside", lambda aside, *_: (aside[0][1:], aside[1])
    ),
    "a reservation is made of the last units": changed(reservations, "set_aside", _from_the_back),
    "a reservation looks at no decisions beside it": changed(reservations, "slack", lambda *_: 1000),
    "a reservation is written on older terms": changed(
        holding, "_made", lambda transaction, *_: replace(transaction, on_terms=False)
    ),
    "a reservation holds expired units": asked(allotments, "afford", lambda a, units, rev, _: (a, units, rev, 0)),
    "a commit forgets the rest": changed(reservations, "end", lambda ending, *_: replace(ending, returns={})),
    "a commit gives back what was spent": asked(reservations, "behind", lambda parts, _: (parts, 0)),
    "a commit gives back the first units": asked(
        reservations, "behind", lambda parts, spent: (tuple(reversed(parts)), spent)
    ),
    "a commit leaves units set aside": changed(
        reservations,
        "end",
        lambda ending, a, *_: replace(ending, allotment=replace(ending.allotment, reserved=a.reserved)),
    ),
    "a commit takes nothing above": changed(
        reservations,
        "end",
        lambda ending, a, *_: replace(ending, allotment=replace(ending.allotment, available=a.available)),
    ),
    "a commit lets rights end with the rest": changed(reservations, "end", _hoarding_end),
    "a commit frees rights of a user's own units": changed(reservations, "end", _generous_end),
    "a reservation ends twice": (Region, "free_for", lambda _: lambda region, reservation: True),
    "a depot keeps what it hands over": changed(
        depots, "hand_over", lambda left, depot, *_: left and replace(depot, seq=left.seq)
    ),
    "a depot forgets a unit that it hands over": changed(
        depots,
        "hand_over",
        lambda left, *_: left and replace(left, handed=left.handed - 1, available=left.available + 1),
    ),
    "a depot hands over what has ended": changed(depots, "hand_over", _whatever_is_first),
    "a depot counts what it hands over as given back": changed(
        depots,
        "hand_over",
        lambda left, depot, *_: (
            left and replace(left, returned=left.returned + left.handed - depot.handed, handed=depot.handed)
        ),
    ),
    "a depot lets the rights of what it hands over end": changed(
        depots,
        "hand_over",
        lambda left, depot, *_: left and replace(left, unbacked=depot.unbacked),
    ),
    "a depot draws behind what is not its turn any more": changed(depots, "_out_of_turn", lambda *_: False),
    "a depot is filled out of nothing": changed(
        depots, "fill", lambda full, *_: replace(full, available=full.available + 5)
    ),
    "what a depot holds counts twice": changed(
        depots, "with_held", lambda _, pools, *held: [replace(p, available=p.available + 9) for p in pools]
    ),
    "metering forgets what was handed over": changed(
        metering, "_in_hand", lambda units, allotment: units + allotment.handed
    ),
    "metering forgets what was set aside": changed(
        metering, "event_of", lambda event, *_: event and replace(event, reserved=0)
    ),
    "metering counts a batch again": asked(metering, "by_day", lambda events, counted: (events, {})),
    "metering forgets what expired": changed(
        metering, "event_of", lambda event, *_: event and replace(event, moved=max(0, event.moved))
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, rule, mutate = MUTANTS[name]
    monkeypatch.setattr(module, rule, mutate(getattr(module, rule)))
    with pytest.raises(AssertionError):  # noqa: PT012 - whichever notices first
        for scenario in SCENARIOS:
            play(scenario)
        run_state_machine_as_test(Histories, settings=SEARCH)
