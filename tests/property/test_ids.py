"""Request ids: valid, ordered, found again; and anything at all may come instead of one."""

import uuid

from hypothesis import assume, example, given
from hypothesis import strategies as st

from cutlass.domain.ids import (
    FRESH_MS,
    ID_PATTERN,
    RequestIdentity,
    digest,
    mark_time,
    new_request_id,
    request_time,
)
from cutlass.domain.ledger import SEGMENT_MS, segment_start, segments_of, was_fresh

EARLIEST_MS, LATEST_MS = 1_577_836_800_000, 4_102_444_800_000
times = st.integers(EARLIEST_MS, LATEST_MS - 1)
names = st.from_regex(ID_PATTERN, fullmatch=True)


@given(times)
def test_a_request_id_is_a_uuid_of_version_7_that_carries_its_time(millis: int) -> None:
    parsed = uuid.UUID(new_request_id(millis))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert request_time(str(parsed)) == request_time(parsed.hex) == millis


@given(st.integers(0, 2**48 - 1))
def test_a_time_that_is_no_clock_makes_an_opaque_id(millis: int) -> None:
    expected = millis if EARLIEST_MS <= millis < LATEST_MS else 0
    assert request_time(new_request_id(millis)) == expected


@given(st.one_of(st.text(max_size=150), names, st.uuids(version=4).map(str), st.uuids(version=1).map(str)))
@example("0" * 32)
@example("\ud800")
@example("urn:uuid:" + "f" * 32)
def test_anything_else_is_opaque(text: str) -> None:
    try:
        version = uuid.UUID(text).version
    except ValueError:
        version = None
    assume(version != 7)
    assert request_time(text) == 0
    assert segments_of(text) == []


@given(names, times)
def test_every_name_has_a_mark_whose_time_is_the_ids(request_id: str, now_ms: int) -> None:
    identity = RequestIdentity.of(request_id, "body")
    assert len(identity.mark) == 12
    assert mark_time(identity.mark) == identity.time_ms == request_time(request_id)
    assert identity.fresh(now_ms) == was_fresh(request_id, now_ms)


@given(st.lists(times, min_size=2, max_size=20))
def test_marks_sort_by_time(millis: list[int]) -> None:
    marks = [RequestIdentity.of(new_request_id(ms), "body").mark for ms in millis]
    assert [mark_time(mark) for mark in sorted(marks)] == sorted(millis)


parts = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4)


@given(parts, parts)
def test_a_digest_tells_lists_of_parts_apart(one: list[str], other: list[str]) -> None:
    assume(one and other)  # no part and one empty part are not told apart, and nothing hashes no part
    assert (digest(*one) == digest(*other)) == (one == other)


@given(times, st.integers(-FRESH_MS - 3, FRESH_MS + 3))
def test_a_decision_on_a_fresh_id_is_in_a_segment_that_is_looked_at(millis: int, off: int) -> None:
    request_id, at_ms = new_request_id(millis), millis + off
    looked_at = segments_of(request_id)
    assert len(looked_at) <= 7
    assert all(start % SEGMENT_MS == 0 for start in looked_at)
    assert was_fresh(request_id, at_ms) == (abs(off) <= FRESH_MS)
    if was_fresh(request_id, at_ms):
        assert segment_start(at_ms) in looked_at, "a replay of this request would be charged again"
