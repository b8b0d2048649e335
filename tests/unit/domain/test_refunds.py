"""What a refund gives back, to whom, and how often."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.allotments import LastDecision, consume, first_of, spent_of
from cutlass.domain.invariants import check_allotment
from cutlass.domain.pools import NEVER_MS, end, grant_of, of_user
from cutlass.domain.refunds import RefundAccount, RefundPart, given_back, refund
from tests.unit.domain.samples import NOW_MS, allotment, pool, spend

OWN, OURS = pool(user_id="ann").key, pool().key
rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=6).map(tuple)


def last(units: int, *spent: tuple[str, int]) -> LastDecision:
    return LastDecision("order-1", "default", units, NOW_MS, 7, None, "r1", spent)


def test_what_was_spent_last_goes_back_first() -> None:
    spent = (("a", 4), ("b", 3))
    assert given_back(spent, 0, 2) == (("b", 2),)
    assert given_back(spent, 2, 3) == (("b", 1), ("a", 2))
    assert given_back(spent, 5, 2) == (("a", 2),)


@given(spent=rows, cuts=st.lists(st.integers(1, 9), max_size=12))
def test_parts_given_back_are_the_charge_in_reverse(spent: tuple, cuts: list[int]) -> None:
    whole, done, row = sum(units for _, units in spent), 0, []
    for cut in [*cuts, whole]:
        units = min(cut, whole - done)
        row += given_back(spent, done, units)
        done += units
    assert first_of(row, whole) == first_of(reversed(spent), whole)


def test_the_chunks_drawn_first_pay_first() -> None:
    held = allotment(("a", 3, NEVER_MS), ("b", 5, NEVER_MS), ("b", 2, NEVER_MS))
    assert spent_of(held, 2) == (("a", 2),)
    assert spent_of(consume(held, spend(2)), 7) == (("a", 1), ("b", 6))


def test_a_refund_frees_rights_of_the_limit_and_not_of_own_grants() -> None:
    held = allotment((OWN, 10, NEVER_MS), (OURS, 10, NEVER_MS), limit=50)
    charged = consume(replace(held, unbacked=40, extra=10), spend(15))
    back = refund(charged, last(8, (OURS, 5), (OWN, 3)))
    assert (back.refunded, back.returned, back.unbacked, back.released) == (8, 8, 45, 5)
    assert (back.kept, back.total, back.seq, back.available) == (7, 7, charged.seq + 1, charged.available)
    assert spent_of(back, 5) == spent_of(charged, 5), "the chunks held stay where they are"
    assert check_allotment(back) == []


def test_an_account_knows_its_parts() -> None:
    account = RefundAccount(9)
    for name, units in (("r1", 4), ("r2", 3)):
        account = account.with_part(RefundPart(name, units, NOW_MS, None, 7))
    assert (account.refunded, account.left, account.before("r2")) == (7, 2, 4)
    assert account.part("r3") is None
    assert account.part("r1") == account.parts[0]


def test_a_pool_ends_by_its_void_or_its_expiry() -> None:
    live = pool(available=30)
    assert end(live, NOW_MS) is live
    gone = end(live, live.expires_ms)
    assert (gone.available, gone.expired, gone.burned) == (0, 30, 0)
    burned = end(replace(live, voided=True), live.expires_ms)
    assert (burned.available, burned.expired, burned.burned) == (0, 0, 30)


def test_a_pools_key_names_its_grant() -> None:
    assert grant_of(OWN) == grant_of(OURS) == "requests:g"
    assert (of_user(OWN), of_user(OURS)) == (True, False)
