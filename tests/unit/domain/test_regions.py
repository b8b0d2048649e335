"""What an operator may decide of a region, and what that does to what it holds."""

from dataclasses import replace

import pytest

from cutlass.domain import regions
from cutlass.domain.allotments import Verdict, judge
from cutlass.domain.errors import ConflictError
from cutlass.domain.invariants import check_allotment, check_pool
from cutlass.domain.refills import adopt
from cutlass.domain.regions import RegionState, Sight, Standing
from tests.unit.domain.samples import holding, pool, spend

WHO = {"by": "olga", "why": "dark", "at_ms": 7}
SERVING = RegionState("sydney")
FENCED = regions.fence(SERVING, **WHO)
CLAIMED = regions.claim_by(FENCED, "london", "a policy")
SETTLING = regions.settle_first(CLAIMED)


def test_the_epoch_rises_with_each_fence_and_each_readmission() -> None:
    assert (FENCED.standing, FENCED.epoch, FENCED.by) == (Standing.FENCED, 2, "olga")
    back = regions.readmit(SETTLING, 0, **WHO)
    assert (back.standing, back.epoch, back.claimant) == (Standing.SERVING, 3, "")
    assert regions.fence(back, **WHO).epoch == 4


def test_a_fence_that_stands_stays_whose_it_is() -> None:
    assert regions.fence(CLAIMED, by="omar", why="me too", at_ms=9) == CLAIMED
    assert regions.fence(SETTLING, **WHO) == CLAIMED


@pytest.mark.parametrize("state", [SERVING, SETTLING])
def test_only_a_fenced_region_is_claimed_from(state: RegionState) -> None:
    with pytest.raises(ConflictError):
        regions.claim_by(state, "london", "a policy")


def test_only_one_survivor_claims() -> None:
    assert regions.claim_by(CLAIMED, "london", "another") == CLAIMED
    with pytest.raises(ConflictError, match="twice"):
        regions.claim_by(CLAIMED, "tokyo", "a policy")


def test_a_region_is_readmitted_only_when_all_is_settled() -> None:
    with pytest.raises(ConflictError, match="3 claims"):
        regions.readmit(SETTLING, 3, **WHO)
    with pytest.raises(ConflictError, match="not being readmitted"):
        regions.readmit(FENCED, 0, **WHO)
    with pytest.raises(ConflictError, match="nothing to readmit"):
        regions.settle_first(SERVING)


def test_the_latest_decision_prevails() -> None:
    assert regions.prevailing("sydney", []) == SERVING
    assert regions.prevailing("sydney", [SERVING, FENCED, CLAIMED]) == CLAIMED


def test_a_fenced_allotment_takes_no_decision_and_fails_changes_under_way() -> None:
    held = holding(5)
    fenced = regions.fence_allotment(held, 2)
    assert judge(fenced, spend()) is Verdict.TERMS_CHANGED
    assert fenced.refills == held.refills + 1
    assert regions.fence_allotment(fenced, 2) == fenced
    assert regions.fenced_in(fenced) == 2
    assert regions.fenced_in(regions.fence_allotment(fenced, 4)) == 4
    assert check_allotment(fenced) == []
    lifted = adopt(fenced, rev=1, plan=fenced.plan, limit=fenced.limit, share=fenced.rights)
    assert judge(lifted, spend()) is Verdict.TAKEN


def test_a_claim_is_of_what_is_left_as_far_as_anyone_knows() -> None:
    sight = Sight(free=50, sent={"london": 10, "tokyo": 5}, accepted={"london": 14, "tokyo": 8})
    assert sight.left() == 50 - 4 - 3
    assert sight.proven("london") == 0
    assert Sight(50, {"london": 10}, {"london": 4}).proven("london") == 6
    assert regions.advance(sight, "london", 13) == (14 + 30, 30)
    assert regions.advance(sight, "london", 99) == (14, 0)


def test_the_margin_is_twice_the_rate_rounded_up() -> None:
    assert regions.margin(100, 10_000, 1_001) == 21
    assert regions.margin(0, 10_000, 1_000) == 0


def test_settling_raises_and_never_adds() -> None:
    one = pool(available=60, minted=100, sent={"london": 40})
    settled = regions.settle_units(one, "london", 70)
    assert (settled.available, settled.sent, settled.overdrawn) == (30, {"london": 70}, 0)
    assert regions.settle_units(settled, "london", 70) == settled
    assert regions.settle_units(settled, "london", 50) == settled
    assert check_pool(settled) == []


def test_what_is_missing_is_overdrawn_unless_it_ended_unspent() -> None:
    one = pool(available=10, minted=100, expired=20, burned=5, allotted=65)
    settled = regions.settle_units(one, "london", 50)
    assert (settled.available, settled.expired, settled.burned, settled.overdrawn) == (0, 0, 0, 15)
    assert check_pool(settled) == []


def test_rights_are_settled_alike() -> None:
    one = replace(holding(5), sent={})
    settled = regions.settle_rights(one, "london", one.unbacked + 4)
    assert (settled.unbacked, settled.overdrawn) == (0, 4)
    assert regions.settle_rights(settled, "london", one.unbacked + 4) == settled
    assert check_allotment(settled) == []
