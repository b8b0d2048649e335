"""What is told agrees with a plain reference, whatever happens and however often it is looked at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain import thresholds as rules
from cutlass.domain.alerts import NEVER, ON_RESOLVE, AlertKind, Threshold, ThresholdKind
from cutlass.domain.thresholds import Mark, Watch
from tests.property.watching import USUAL, History, Purse, play

PERCENTS = st.integers(1, 100).map(lambda value: Threshold(ThresholdKind.PERCENT, value))
UNITS = st.integers(1, 3000).map(lambda value: Threshold(ThresholdKind.UNITS, value))
THRESHOLDS = st.lists(st.one_of(PERCENTS, UNITS), max_size=5, unique_by=lambda t: t.name).map(tuple)
LIMITS = st.one_of(st.none(), st.integers(0, 2000))
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.one_of(st.integers(-300, 1500), st.sampled_from([1, 100, 500, 800, 1000]))),
        st.tuples(st.just("look")),
        st.tuples(st.just("set_limit"), LIMITS),
        st.tuples(st.just("set_thresholds"), THRESHOLDS),
        st.tuples(st.just("turn")),
    ),
    max_size=40,
)


@given(moves=MOVES, realert=st.sampled_from([NEVER, ON_RESOLVE]), thresholds=THRESHOLDS)
def test_what_is_told_is_what_a_plain_reference_tells(
    moves: list[Any], realert: str, thresholds: tuple[Threshold, ...]
) -> None:
    history = play(History(realert=realert, thresholds=thresholds or USUAL), *moves, ("look",))
    assert not history.problems()


@given(moves=MOVES, realert=st.sampled_from([NEVER, ON_RESOLVE]))
def test_looking_twice_tells_nothing_more(moves: list[Any], realert: str) -> None:
    once = play(History(realert=realert), *moves)
    twice = play(
        History(realert=realert), *(move for each in moves for move in ([each] * (1 + (each == ("look",)))))
    )
    told = [[(a.kind, a.threshold, a.period, a.tell) for a in history.alerts] for history in (once, twice)]
    assert told[0] == told[1]


@given(limit=st.integers(0, 10**12), value=st.integers(1, 100))
def test_a_share_is_reached_by_the_very_unit_that_makes_it(limit: int, value: int) -> None:
    mark = rules.mark_units(Threshold(ThresholdKind.PERCENT, value), limit)
    assert mark is not None
    assert mark * 100 >= value * limit, "at the mark the share is reached"
    assert (mark - 1) * 100 < value * limit or mark == 1, "one unit below it is not"


@given(
    marks=st.dictionaries(
        st.sampled_from(["50%", "80%"]),
        st.builds(Mark, st.booleans(), st.integers(1, 3), st.integers(0, 100), st.just("p")),
    ),
    since=st.integers(0, 100),
)
def test_what_was_told_shortly_before_a_loss_is_told_again(marks: dict[str, Mark], since: int) -> None:
    watch = rules.trusted(Watch(marks, 5, 3), since)
    believed = watch.marks
    for name, mark in marks.items():
        if mark.at_ms < since:
            assert believed[name] == mark
        elif mark.open:
            assert name not in believed, "what was crossed is crossed anew"
            assert watch.doubted[name] == mark
        else:
            assert believed[name].open, "what was over is over anew"


SCENARIOS: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]], list[tuple[str, str]]]] = {
    "many small steps tell each threshold once": (
        {},
        [move for _ in range(11) for move in (("spend", 100), ("look",))],
        [("crossed", "50%"), ("crossed", "80%"), ("crossed", "90%"), ("crossed", "100%")],
    ),
    "one large step tells the highest": ({}, [("spend", 950), ("look",)], [("crossed", "90%")]),
    "exactly exhausted is told": ({}, [("spend", 1000), ("look",), ("look",)], [("crossed", "100%")]),
    "one unit below is not": ({}, [("spend", 499), ("look",)], []),
    "a top-up resolves, the lowest told": (
        {},
        [("spend", 1000), ("look",), ("set_limit", 3000), ("look",)],
        [("crossed", "100%"), ("resolved", "50%")],
    ),
    "crossed again after it was resolved, as chosen": (
        {"realert": ON_RESOLVE},
        [("spend", 1000), ("look",), ("set_limit", 3000), ("look",), ("spend", 500), ("look",)],
        [("crossed", "100%"), ("resolved", "50%"), ("crossed", "50%")],
    ),
    "not again in the same period otherwise": (
        {},
        [("spend", 1000), ("look",), ("set_limit", 3000), ("look",), ("spend", 2000), ("look",)],
        [("crossed", "100%"), ("resolved", "50%")],
    ),
    "each period has its own": (
        {},
        [("spend", 1000), ("look",), ("turn",), ("look",), ("spend", 800), ("look",)],
        [("crossed", "100%"), ("crossed", "80%")],
    ),
    "a limit lowered below usage": (
        {},
        [("spend", 450), ("look",), ("set_limit", 400), ("look",)],
        [("crossed", "100%")],
    ),
    "no limit has no shares": ({"limit": None}, [("spend", 10**9), ("look",)], []),
    "a limit that was lifted is resolved": (
        {},
        [("spend", 900), ("look",), ("set_limit", None), ("look",)],
        [("crossed", "90%"), ("resolved", "50%")],
    ),
}

PURSES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]], list[tuple[str, str]]]] = {
    "never had any": ({}, [("look",), ("turn",), ("look",)], []),
    "falls below a mark, once": (
        {},
        [("top_up", 5000), ("look",), ("spend", 4500), ("look",), ("look",), ("turn",), ("look",)],
        [("balance_low", "balance<1000")],
    ),
    "jumps over both, the lowest told": (
        {},
        [("top_up", 5000), ("spend", 5000), ("look",)],
        [("balance_low", "balance<100")],
    ),
    "at the mark is not below it": ({}, [("top_up", 1000), ("look",)], []),
    "alerts again in a later period, after a top-up": (
        {},
        [
            *[("top_up", 5000), ("spend", 4500), ("look",), ("top_up", 5000), ("look",), ("turn",)],
            *[("spend", 5000), ("look",)],
        ],
        [
            ("balance_low", "balance<1000"),
            ("balance_restored", "balance<1000"),
            ("balance_low", "balance<1000"),
        ],
    ),
    "not in the same one, unless chosen": (
        {},
        [("top_up", 5000), ("spend", 4500), ("look",), ("top_up", 5000), ("look",), ("spend", 5000), ("look",)],
        [("balance_low", "balance<1000"), ("balance_restored", "balance<1000")],
    ),
}


def told_in(options: dict[str, Any], moves: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    history = play(History(**options), *moves)
    assert not history.problems()
    return [(str(alert.kind), alert.threshold) for alert in history.alerts if alert.tell]


def told_of_credits(options: dict[str, Any], moves: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    purse = play(Purse(**options), *moves)
    return [(str(alert.kind), alert.threshold) for alert in purse.alerts if alert.tell]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_history_of_usage_tells(name: str) -> None:
    options, moves, wanted = SCENARIOS[name]
    assert told_in(options, moves) == wanted


@pytest.mark.parametrize("name", PURSES)
def test_a_history_of_credits_tells(name: str) -> None:
    options, moves, wanted = PURSES[name]
    assert told_of_credits(options, moves) == wanted


def test_a_large_step_records_all_and_the_lower_name_the_one_that_is_told() -> None:
    alerts = play(History(), ("spend", 1000), ("look",)).alerts
    assert [(alert.threshold, alert.tell) for alert in alerts] == [
        ("50%", False),
        ("80%", False),
        ("90%", False),
        ("100%", True),
    ]
    assert {alert.told_by for alert in alerts[:3]} == {alerts[3].alert_id}
    assert {(alert.previous_value, alert.current_value, alert.limit) for alert in alerts} == {(0, 1000, 1000)}


def _mark_above(right: Any) -> Any:
    return lambda threshold, limit: None if (units := right(threshold, limit)) is None else units + 1


def _always_news(_: Any) -> Any:
    return lambda known, period, realert: True


def _once_for_life(_: Any) -> Any:
    return lambda known, period, realert: known is None


def _again_anyway(_: Any) -> Any:
    return lambda known, period, realert: known is None or not known.open


def _all_told(_: Any) -> Any:
    return lambda alerts, chosen: alerts


def _first_told(right: Any) -> Any:
    return lambda alerts, chosen: right(alerts, alerts[0] if alerts else None)


def _last_told(right: Any) -> Any:
    return lambda alerts, chosen: right(alerts, alerts[-1] if alerts else None)


def _same_id(_: Any) -> Any:
    return lambda subject, threshold, kind, cycle, at_ms, place: f"{threshold}{kind}"


MUTANTS = {
    "silent when exactly exhausted": ("mark_units", _mark_above),
    "told with every look": ("_tells", _always_news),
    "told once for life": ("_tells", _once_for_life),
    "told again whatever was chosen": ("_tells", _again_anyway),
    "every threshold of a step told": ("_tell", _all_told),
    "the lowest of a step told": ("_tell", _first_told),
    "the highest resolved told": ("_tell", _last_told),
    "ids that come again": ("alert_id", _same_id),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_put_in_on_purpose_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rule, spoil = MUTANTS[name]
    monkeypatch.setattr(rules, rule, spoil(getattr(rules, rule)))
    survived = []
    for scenarios, told in ((SCENARIOS, told_in), (PURSES, told_of_credits)):
        for options, moves, wanted in scenarios.values():
            try:
                survived.append(told(options, moves) == wanted)
            except AssertionError:
                survived.append(False)
    assert not all(survived), f"nothing notices the bug: {name}"


def test_kinds_are_told_apart() -> None:
    purse = play(Purse(), ("top_up", 5000), ("spend", 4500), ("look",))
    assert [alert.kind for alert in purse.alerts] == [AlertKind.BALANCE_LOW]
    assert (purse.alerts[0].previous_value, purse.alerts[0].current_value) == (5000, 500)
