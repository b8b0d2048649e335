"""Request ids and what is remembered of them."""

import uuid

import pytest

from cutlass.domain.ids import (
    FRESH_MS,
    ID_PATTERN,
    MAX_AHEAD_MS,
    RequestIdentity,
    decision_id,
    digest,
    mark_time,
    new_request_id,
    request_time,
)
from tests.unit.domain.samples import NOW_MS


@pytest.mark.parametrize("name", ["a", "org456", "A.b_c:d@e-f", "x" * 128])
def test_good_names(name: str) -> None:
    assert ID_PATTERN.fullmatch(name)


@pytest.mark.parametrize("name", ["", "x" * 129, "a b", "a#b", "a/b", "ä", "a\n", "a\0b", "١"])
def test_bad_names(name: str) -> None:
    assert not ID_PATTERN.fullmatch(name)


def test_a_new_request_id_is_a_name_and_carries_its_time() -> None:
    request_id = new_request_id(NOW_MS)
    assert ID_PATTERN.fullmatch(request_id)
    assert request_time(request_id) == NOW_MS
    assert request_time(request_id.upper()) == NOW_MS
    assert request_id != new_request_id(NOW_MS)


@pytest.mark.parametrize(
    "opaque",
    [
        "order-1234",
        "",
        str(uuid.UUID(int=NOW_MS << 80 | 4 << 76 | 2 << 62)),  # version 4
        str(uuid.UUID(int=NOW_MS << 80 | 7 << 76)),  # version 7, but no RFC variant
        new_request_id(0),  # 1970 is no clock
        new_request_id(4_102_444_800_000),  # nor is 2100
        new_request_id(2**48 - 1),
    ],
    ids=["name", "empty", "version 4", "no variant", "1970", "2100", "latest"],
)
def test_an_id_without_a_credible_time_is_opaque(opaque: str) -> None:
    assert request_time(opaque) == 0
    assert not RequestIdentity.of(opaque, "body").fresh(NOW_MS)


def test_ids_may_be_further_ahead_than_fresh_but_by_a_day_at_most() -> None:
    assert FRESH_MS < MAX_AHEAD_MS == 24 * 60 * 60 * 1000


def test_fresh_is_within_five_seconds_on_either_side() -> None:
    identity = RequestIdentity.of(new_request_id(NOW_MS), "body")
    assert identity.fresh(NOW_MS - FRESH_MS)
    assert identity.fresh(NOW_MS + FRESH_MS)
    assert not identity.fresh(NOW_MS - FRESH_MS - 1)
    assert not identity.fresh(NOW_MS + FRESH_MS + 1)


def test_a_mark_holds_the_time_and_tells_ids_of_one_millisecond_apart() -> None:
    first, second = (RequestIdentity.of(new_request_id(NOW_MS), "body") for _ in range(2))
    assert len(first.mark) == 12
    assert mark_time(first.mark) == NOW_MS
    assert first.mark != second.mark


def test_a_mark_is_of_the_id_and_a_fingerprint_of_the_body() -> None:
    request_id = new_request_id(NOW_MS)
    one, other = RequestIdentity.of(request_id, "org", "1"), RequestIdentity.of(request_id, "org", "2")
    assert one.mark == other.mark
    assert one.fingerprint != other.fingerprint
    assert 0 <= one.fingerprint < 2**24


def test_a_digest_keeps_its_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", "") != digest("a")
    assert len(digest()) == 32


def test_a_decision_id_follows_from_the_request() -> None:
    assert decision_id("org", "ann", "requests", "r") == decision_id("org", "ann", "requests", "r")
    assert decision_id("org", "ann", "requests", "r") != decision_id("org", "bob", "requests", "r")
