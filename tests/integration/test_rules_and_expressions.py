"""The DynamoDB expressions do what the pure rules say: any history, step by step, on real engines."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cutlass.domain.allotments import (
    Allotment,
    LastDecision,
    Spend,
    Verdict,
    consume,
    judge,
    refuse,
    release,
    settle,
    trim,
)
from cutlass.domain.depots import fill, hand_over
from cutlass.domain.grants import Category
from cutlass.domain.ids import RequestIdentity
from cutlass.domain.invariants import check_allotment, check_pool
from cutlass.domain.pools import Pool, end, grant_of, measure, of_user
from cutlass.domain.refills import Draw, adopt, refill
from cutlass.domain.refunds import refund
from cutlass.domain.reservations import Part, set_aside, slack
from cutlass.domain.reservations import end as end_reservation
from cutlass.domain.transfers import accept, send, send_rights
from cutlass.storage import Store, keys
from cutlass.storage.allotments import change_of
from cutlass.storage.dynamo import ConditionFailedError, expression
from cutlass.storage.items import allotment_from_item, allotment_to_item, pool_to_item
from cutlass.storage.returns import return_writes
from cutlass.storage.transfers import _sending
from tests.support.world import World
from tests.unit.domain.samples import reservation

NOW_MS = 1_795_348_800_000
NUMBERS = itertools.count()


def ids(ages: list[int]) -> st.SearchStrategy[RequestIdentity]:
    """Request identities of a few ids, so that they repeat, of ages around our time or of no time at all."""
    known = [f"{(NOW_MS - age) << 80 | 7 << 76 | 2 << 62 | n:032x}" for age in ages for n in range(3)]
    texts = [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in known] + ["opaque-1", "opaque-2"]
    return st.builds(RequestIdentity.of, st.sampled_from(texts), st.just("body"))


spends = st.builds(
    Spend,
    identity=ids([-60_000, 0, 40, 4_000, 50_000]),
    feature=st.just("default"),
    units=st.integers(1, 6),
    rev=st.integers(1, 2),
    now_ms=st.sampled_from([NOW_MS, NOW_MS + 3_000, NOW_MS + 90_000]),
    fence=st.one_of(st.none(), st.integers(0, 2)),
    stripes=st.sampled_from([1, 1, 1, 2]),
)
draws = st.lists(
    st.builds(
        lambda n, units, later, own: Draw(_pool(n, NOW_MS + later, own), units),
        st.integers(0, 2),
        st.integers(1, 12),
        st.sampled_from([2_000, 60_000, 10**9]),
        st.booleans(),
    ),
    max_size=3,
)
cuts = st.integers(1, 12)
changes = st.one_of(
    cuts.map(lambda units: lambda a: set_aside(a, units)[1] if a.available >= units else a),
    st.builds(lambda *cut: lambda a: _ended(a, *cut), cuts, st.integers(0, 15), st.integers(0, 12)),
    draws.map(lambda drawn: lambda a: refill(a, drawn, NOW_MS)),
    draws.map(lambda drawn: lambda a: fill(a, drawn, NOW_MS)),
    st.sampled_from([NOW_MS, NOW_MS + 90_000]).map(lambda now: lambda a: settle(a, now).allotment),
    st.just(lambda a: settle(a, NOW_MS + 90_000, everything=True).allotment),
    st.just(lambda a: release(a).allotment),
    st.integers(0, 200).map(lambda share: lambda a: adopt(a, rev=a.rev, plan="basic", limit=share, share=share)),
    st.just(lambda a: adopt(a, rev=2, plan="premium", limit=None, share=500)),
)
steps = st.lists(
    st.one_of(
        spends.map(lambda s: ("consume", s)),
        spends.map(lambda s: ("refuse", s)),
        changes.map(lambda c: ("change", c)),
        st.integers(0, 1).map(lambda seen: ("trim", seen)),
        st.integers(1, 30).map(lambda units: ("send", units)),
        st.sampled_from([1, 2]).map(lambda stripes: ("divide", stripes)),
        st.tuples(st.integers(1, 9), st.integers(0, 9)).map(lambda parts: ("refund", parts)),
        st.tuples(cuts, st.integers(0, 6)).map(lambda beside: ("aside", beside)),
        st.tuples(cuts, st.integers(0, 6)).map(lambda beside: ("hand over", beside)),
    ),
    min_size=4,
    max_size=30,
)


def _ended(a: Allotment, most: int, spent: int, own: int) -> Allotment:
    """End a reservation of some of what is set aside, `own` of it of the user's own grant and the rest expired."""
    units = min(most, a.reserved)
    parts = (Part("050#own#own", min(own, units), NOW_MS + 1), Part("050#other", max(0, units - own), NOW_MS))
    last = LastDecision("order-1", "default", spent, NOW_MS, 7)
    made = reservation(units=units, parts=parts)
    return (
        replace(end_reservation(a, made, min(spent, units + a.available), NOW_MS).allotment, last=last)
        if units
        else a
    )


def _pool(number: int, expires_ms: int, own: bool) -> Pool:
    return Pool(
        grant_id=f"requests:g{number}",
        category=Category.PAID,
        priority=50,
        starts_ms=0,
        expires_ms=expires_ms,
        user_id="ann" if own else None,
        minted=1000,
        available=1000,
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_any_history_of_an_allotment_is_the_same_in_the_store_and_by_the_rules(world: World, steps: list) -> None:
    allotments = world.stores["london"].allotments
    key = keys.allotment("london", world.org, f"u{next(NUMBERS)}", "requests", "20261101T0000")
    model = refill(
        Allotment(rev=1, plan="basic", limit=100, rights=100, unbacked=100),
        [Draw(_pool(0, NOW_MS + 60_000, own=False), 15)],
        NOW_MS,
    )
    world.stores["london"].dynamo.put(allotments.table, allotment_to_item(model, *key, NOW_MS))
    for kind, detail in steps:
        model = _STEPS[kind](allotments, key, model, detail)
        stored = allotments.read(key)
        assert stored == model, f"after {kind} {detail}"
        assert check_allotment(model) == [], f"after {kind} {detail}"


def _consume(allotments, key: keys.Key, model: Allotment, spend: Spend) -> Allotment:
    verdict = judge(model, spend)
    consumed = allotments.consume(key, spend)
    assert consumed.verdict is verdict
    new = consume(model, spend) if verdict is Verdict.TAKEN else model
    assert consumed.allotment == new, "the write answers with the allotment it made or met"
    return new


def _refuse(allotments, key: keys.Key, model: Allotment, spend: Spend) -> Allotment:
    allotments.refuse(key, spend, "user_limit_reached")
    return refuse(model, spend, "user_limit_reached")


def _change(allotments, key: keys.Key, model: Allotment, change: Callable[[Allotment], Allotment]) -> Allotment:
    new = change(model)
    if new == model or new.unbacked < 0:
        return model
    assert allotments.change(key, model, new)
    stale = replace(model, refills=model.refills - 1)
    assert not allotments.change(key, stale, replace(new, refills=new.refills - 1)), "a change that came late"
    return new


def _trim(allotments, key: keys.Key, model: Allotment, seen: int) -> Allotment:
    chosen = trim(model.ring | {bytes([n]) * 12 for n in range(20)}, model.mark_ms, NOW_MS)
    assert chosen is not None
    chosen = replace(chosen, marks=chosen.marks | model.ring)
    done = allotments.trim(key, chosen, seen)
    assert done == (seen == model.trims)
    if not done:
        return model
    return replace(model, ring=model.ring - chosen.marks, mark_ms=chosen.mark_ms, trims=model.trims + 1)


def _send(allotments, key: keys.Key, model: Allotment, units: int) -> Allotment:
    try:
        item = allotments._dynamo.update(allotments.table, *key, _sending("sydney", units, "unbacked"))
    except ConditionFailedError:
        assert model.unbacked < units
        return model
    new = send_rights(model, "sydney", units)
    assert allotment_from_item(item) == new
    return new


def _divide(allotments, key: keys.Key, model: Allotment, stripes: int) -> Allotment:
    allotments.divide(key, stripes)
    return replace(model, stripes=max(model.stripes, stripes))


def _aside(allotments, key: keys.Key, model: Allotment, detail: tuple[int, int]) -> Allotment:
    """Set units aside as planned before others were spent: written if they still come from the same pool."""
    units, spent = detail
    if model.available < units + spent:
        return model
    parts, planned = set_aside(model, units)
    change = change_of(model, planned, on_terms=True, slack=slack(model, units))
    now = replace(
        model,
        available=model.available - spent,
        used=model.used + spent,
        total=model.total + spent,
        seq=model.seq + 1,
    )
    assert allotments.change(key, model, now)
    try:
        allotments._dynamo.update(allotments.table, *key, change)
    except ConditionFailedError:
        assert spent > slack(model, units)
        return now
    assert spent <= slack(model, units)
    assert set_aside(now, units)[0] == parts
    return set_aside(now, units)[1]


def _hand_over(allotments, key: keys.Key, model: Allotment, detail: tuple[int, int]) -> Allotment:
    """Hand units over as planned before others were: written if they still come from the same pool."""
    units, other = detail
    if model.available < units + other:
        return model
    planned = hand_over(model, _front(model, units), birth=True)
    assert planned
    change = change_of(model, planned, on_terms=True, slack=slack(model, units))
    now = hand_over(model, _front(model, other)) if other else model
    assert now
    assert now.refills == model.refills, "hand-overs go on beside each other"
    assert now is model or allotments.change(key, model, now)
    if other <= slack(model, units):
        allotments._dynamo.update(allotments.table, *key, change)
        new = hand_over(now, _front(model, units), birth=True)
        assert new, "units of another pool than was planned"
        return new
    with pytest.raises(ConditionFailedError):
        allotments._dynamo.update(allotments.table, *key, change)
    return now


def _front(model: Allotment, units: int) -> list[Draw]:
    """The draws that the first units of a depot answer."""
    parts, _ = set_aside(model, units)
    return [
        Draw(
            replace(
                _pool(0, part.expires_ms, of_user(part.pool)),
                grant_id=grant_of(part.pool),
                priority=int(part.pool[:3]),
            ),
            part.units,
        )
        for part in parts
    ]


def _refund(allotments, key: keys.Key, model: Allotment, parts: tuple[int, int]) -> Allotment:
    """Refund some units of an organisation's pool and some of the user's own, as far as there are any."""
    ours, own = min(parts[0], model.kept), min(parts[1], max(0, model.kept - parts[0]))
    paid = ((_pool(0, 1, own=False), ours), (_pool(1, 1, own=True), own))
    spent = tuple((pool.key, units) for pool, units in paid if units)
    if not spent:
        return model
    last = LastDecision("order-1", "default", ours + own, NOW_MS, 7, None, "r1", spent)
    new = refund(model, last)
    assert allotments.change(key, model, new)
    return new


_STEPS = {
    "consume": _consume,
    "refuse": _refuse,
    "change": _change,
    "trim": _trim,
    "send": _send,
    "divide": _divide,
    "refund": _refund,
    "aside": _aside,
    "hand over": _hand_over,
}

pool_steps = st.lists(
    st.tuples(st.sampled_from(["draw", "return", "send", "accept", "void", "end"]), st.integers(1, 400)),
    min_size=3,
    max_size=20,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=pool_steps, own=st.booleans())
def test_any_history_of_a_pool_is_the_same_in_the_store_and_by_the_rules(
    world: World, steps: list, own: bool
) -> None:
    store, meter = world.stores["london"], f"m{next(NUMBERS)}"
    model = _pool(0, NOW_MS + 1_000, own)
    pk = keys.pools("london", world.org, meter, model.user_id)
    store.dynamo.put(store.allotments.table, pool_to_item(model, pk))
    now_ms = NOW_MS
    for kind, units in steps:
        now_ms += units
        seen = model
        match kind:
            case "draw":
                model = _drawn(store, world.org, meter, model, units)
            case "return":
                back = min(units, model.allotted - model.returned)
                if back:
                    table = store.allotments.table
                    (write,) = return_writes(table, {(pk, model.key): back})
                    store.dynamo.call("UpdateItem", write["Update"])
                    model = replace(model, available=model.available + back, returned=model.returned + back)
            case "send" if model.available >= units:
                store.dynamo.update(store.allotments.table, pk, model.key, _sending("sydney", units, "available"))
                model = send(model, "sydney", units)
            case "accept":
                store.transfers._accept(store.dynamo, (pk, model.key), "sydney", units, "available")
                model = accept(model, "sydney", units)
            case "void":
                store.dynamo.update(
                    store.allotments.table, pk, model.key, expression("SET voided = :yes", yes=True)
                )
                model = replace(model, voided=True)
            case "end":
                ended = store.pools.end(world.org, meter, model, now_ms)
                model = end(model, now_ms)
                assert ended == seen.available - model.available
                if ended:
                    assert store.pools.end(world.org, meter, seen, now_ms) == 0, "a look that came late"
        (stored,) = store.pools.of(world.org, meter, model.user_id, own=own)
        assert stored == model, f"after {kind} {units}"
        assert check_pool(model) == [], f"after {kind} {units}"


def _drawn(store: Store, org_id: str, meter: str, model: Pool, units: int) -> Pool:
    write = store.pools.draw_of(org_id, meter, model, units, NOW_MS, births=0, draws=1, epoch=1)
    try:
        store.dynamo.call("UpdateItem", write["Update"])
    except ConditionFailedError:
        assert model.available < units or model.voided
        return model
    rated = measure(model, units, NOW_MS)
    return replace(
        rated, available=model.available - units, allotted=model.allotted + units, draws=model.draws + 1
    )
