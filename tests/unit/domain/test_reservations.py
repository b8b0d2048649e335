"""Reservations: what is set aside, where it came from, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cutlass.domain.allotments import Verdict, afford, consume, settle, unspent
from cutlass.domain.invariants import check_allotment, check_attribution, check_reservations
from cutlass.domain.ledger import EntryKind, reservation_entry
from cutlass.domain.metering import AllotmentKey, event_of
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.reservations import (
    Part,
    State,
    behind,
    charged_in,
    committed,
    end,
    parse_id,
    reservation_name,
    set_aside,
    slack,
)
from tests.unit.domain.samples import NOW, NOW_MS, allotment, holding, pool, reservation, spend

OWN = "050#own#own"
KEY = AllotmentKey("london", "org", "ann", "requests", "20261101T0000")


def test_units_are_set_aside_in_the_order_of_spending() -> None:
    held = consume(allotment(("a", 5, NOW_MS + 9), ("b", 10, NEVER_MS)), spend(2))
    parts, left = set_aside(held, 6)
    assert parts == (Part("a", 3, NOW_MS + 9), Part("b", 3, NEVER_MS))
    assert (left.available, left.reserved, left.used, left.seq) == (7, 6, 2, held.seq + 1)
    assert [(chunk.pool, units) for chunk, units in unspent(left)] == [("b", 7)]
    assert check_allotment(left) == []


def test_units_of_the_same_pool_may_be_spent_meanwhile() -> None:
    held = allotment(("a", 5, NEVER_MS), ("a", 5, NEVER_MS), ("b", 10, NEVER_MS))
    assert set_aside(held, 7)[0] == (Part("a", 7, NEVER_MS),)
    assert [slack(held, units) for units in (1, 7, 10, 11)] == [9, 3, 0, 0]
    spent = consume(held, spend(3))
    assert set_aside(spent, 7)[0] == set_aside(held, 7)[0]
    assert set_aside(consume(held, spend(4)), 7)[0] != set_aside(held, 7)[0]


def test_what_comes_after_is_told_from_what_was_set_aside() -> None:
    _, left = set_aside(allotment(("a", 5, NOW_MS + 9), ("b", 10, NEVER_MS)), 3)
    settled = settle(left, NOW_MS + 9).allotment
    assert (settled.expired, settled.reserved, settled.available) == (2, 3, 10)
    assert [(chunk.pool, units) for chunk, units in unspent(settled)] == [("b", 10)]
    assert check_allotment(settled) == []


@pytest.mark.parametrize(("spent", "back"), [(0, {"a": 4, OWN: 3, "b": 3}), (5, {OWN: 2, "b": 3}), (10, {})])
def test_the_first_units_are_spent_and_the_others_go_back(spent: int, back: dict[str, int]) -> None:
    held = allotment(("a", 4, NEVER_MS), ("b", 6, NEVER_MS))
    parts = (Part("a", 4, NEVER_MS), Part(OWN, 3, NEVER_MS), Part("b", 3, NEVER_MS))
    aside = set_aside(held, 10)[1]
    ending = end(aside, reservation(10, parts=parts), spent, NOW_MS)
    ended, freed = ending.allotment, sum(units for key, units in back.items() if key != OWN)
    assert ending.returns == back
    assert (ended.reserved, ended.used, ended.total, ended.available) == (0, spent, spent, 0)
    assert (ended.returned, ended.expired) == (10 - spent, 0)
    assert (ended.unbacked - aside.unbacked, ended.released) == (freed, freed)
    assert check_allotment(ended) == []


def test_units_of_a_grant_that_ended_meanwhile_are_spent_but_do_not_go_back() -> None:
    aside = set_aside(allotment(("a", 4, NOW_MS), ("b", 6, NOW_MS + 1)), 10)[1]
    parts = (Part("a", 4, NOW_MS), Part("b", 6, NOW_MS + 1))
    ending = end(aside, reservation(10, parts=parts), 1, NOW_MS)
    assert ending.returns == {"b": 6}
    assert (ending.allotment.used, ending.allotment.expired, ending.allotment.returned) == (1, 3, 6)
    assert ending.allotment.released == 9, "rights do not end with the units they backed"
    assert check_allotment(ending.allotment) == []


def test_what_the_work_cost_above_comes_out_of_what_is_available() -> None:
    aside = set_aside(holding(30), 10)[1]
    ended = end(aside, reservation(10), 14, NOW_MS).allotment
    assert (ended.used, ended.available, ended.reserved, ended.released) == (14, 16, 0, 0)
    assert check_allotment(ended) == []


def test_a_commit_is_a_decision_and_a_release_is_none() -> None:
    aside = set_aside(consume(holding(30), spend(1)), 10)[1]
    made = reservation(10)
    charged, given = (end(aside, made, spent, NOW_MS + 5).allotment for spent in (4, 0))
    assert (charged.last.request_id, charged.last.units) == ("reservation:london-0c9d", 4)
    assert given.last == aside.last
    event = event_of(KEY, aside, charged, NOW)
    assert (event.entry.kind, event.entry.before, event.entry.after) == (EntryKind.DECISION, 1, 5)
    assert (event.moved, event.reserved) == (-6, -10)
    event = event_of(KEY, aside, given, NOW)
    assert (event.entry, event.moved, event.reserved) == (None, -10, -10)
    before = consume(holding(30), spend(1))
    event = event_of(KEY, before, aside, NOW)
    assert (event.entry, event.moved, event.reserved) == (None, 0, 10)


def test_units_are_not_to_be_had_on_older_terms_past_an_expiry_or_where_they_lack() -> None:
    held = allotment(("a", 5, NOW_MS + 9))
    assert afford(held, 5, 1, NOW_MS) is Verdict.TAKEN
    assert afford(held, 6, 1, NOW_MS) is Verdict.SHORT
    assert afford(held, 1, 2, NOW_MS) is Verdict.TERMS_CHANGED
    assert afford(held, 1, 1, NOW_MS + 9) is Verdict.EXPIRED


def test_parts_are_spent_from_the_front() -> None:
    parts = (Part("a", 2, 1), Part("b", 3, 2))
    assert behind(parts, 0) == list(parts)
    assert behind(parts, 3) == [Part("b", 2, 2)]
    assert behind(parts, 9) == []


def test_the_ledger_has_what_was_set_aside_and_what_came_of_it() -> None:
    made = reservation(10)
    entry = reservation_entry(made)
    assert (entry.kind, entry.entry_id, entry.units) == (EntryKind.RESERVE, "london-0c9d", 10)
    assert (entry.before, entry.after, entry.at, entry.reason) == (0, 10, NOW, None)
    for state, spent, back in ((State.COMMITTED, 4, 6), (State.RELEASED, 0, 10), (State.EXPIRED, 0, 10)):
        entry = reservation_entry(replace(made, state=state, spent=spent, ended_ms=NOW_MS + 1000))
        assert (entry.kind, entry.units, entry.reason) == (EntryKind.RELEASE, back, str(state))
        assert (entry.before, entry.after, entry.at) == (back, 0, NOW + timedelta(seconds=1))
    for spent in (10, 12):
        assert reservation_entry(replace(made, state=State.COMMITTED, spent=spent)) is None


def test_an_id_says_where_and_which() -> None:
    assert parse_id(reservation().reservation_id) == ("london", "0c9d")
    assert parse_id("north-east-0c9d") == ("north-east", "0c9d")
    assert parse_id("nonsense") == ("", "nonsense")
    names = {reservation_name(*who, "r") for who in (("o", "a", "m"), ("o", "b", "m"), ("p", "a", "m"))}
    assert len(names) == 3
    assert reservation_name("o", "a", "m", "r") in names


def test_units_set_aside_that_no_reservation_holds_are_found() -> None:
    _, aside = set_aside(holding(30), 10)
    made = reservation(10)
    assert check_reservations(aside, [made]) == []
    assert check_reservations(aside, []) != []
    assert check_reservations(aside, [replace(made, state=State.RELEASED)]) != []
    assert check_reservations(aside, [replace(made, parts=(Part("p", 9, NEVER_MS),))]) != []


def test_units_that_a_pool_never_gave_are_found() -> None:
    of = pool(allotted=12, available=88)
    held = allotment((of.key, 12, NEVER_MS))
    parts, aside = set_aside(held, 5)
    assert check_attribution([of], [aside], [reservation(5, parts=parts)]) == []
    assert check_attribution([of], [held], [reservation(5, parts=parts)]) != []
    assert check_attribution([of], [aside], [reservation(5, parts=(Part("other", 5, NEVER_MS),))]) != []


def test_a_commit_has_a_name_in_every_region_and_other_ids_only_one() -> None:
    name = "0c9d" * 8
    assert charged_in(f"reservation:london-{name}", "sydney") == f"reservation:sydney-{name}"
    assert charged_in(charged_in(f"reservation:ap-north-{name}", ""), "london") == f"reservation:london-{name}"
    assert committed(f"reservation:london-{name}") == name
    for own in ("order-1", "reservation:42", "reservation:london-42", f"london-{name}", f"reservation:{name}"):
        assert (charged_in(own, "sydney"), committed(own)) == (own, None)
