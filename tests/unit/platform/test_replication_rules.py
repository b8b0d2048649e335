"""Which changes are copied between regions, and who wins."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cutlass.platform.replicator.rules import (
    STAMP,
    Change,
    Echo,
    LatestWrites,
    Write,
    last_of_each,
    parse_stamp,
    read,
    stamp,
)

SOURCE = Write(at=1_000, region="london", sequence="7".zfill(40))


def record(old: dict[str, Any] | None, new: dict[str, Any] | None, *, at: int = 5_000, count: int = 1) -> Any:
    images = {"OldImage": old, "NewImage": new}
    keys = {"pk": {"S": "p"}, "sk": {"S": "s"}}
    return {
        "dynamodb": {
            "Keys": keys,
            "SequenceNumber": f"{at:020d}{count:010d}",
            "ApproximateCreationDateTime": at // 1000,
            **{name: image for name, image in images.items() if image is not None},
        }
    }


def item(value: int, mark: Any = None) -> dict[str, Any]:
    plain = {"pk": {"S": "p"}, "sk": {"S": "s"}, "v": {"N": str(value)}}
    return plain if mark is None else plain | {STAMP: mark}


def change(key: str, at: int, region: str = "london") -> Change:
    return Change((key, "s"), item(at), Write(at, region))


def test_a_write_of_the_region_itself_is_a_change_with_its_time_in_milliseconds() -> None:
    seen = read(record(None, item(1), at=123_456), "london")
    assert isinstance(seen, Change)
    assert (seen.write.at, seen.write.region, seen.image) == (123_456, "london", item(1))


def test_a_new_stamp_is_an_echo_and_tells_what_it_replaced() -> None:
    seen = read(record(item(1), item(2, stamp(SOURCE))), "sydney")
    assert seen == Echo(("p", "s"), SOURCE, item(1))


def test_an_update_of_a_copy_keeps_the_stamp_and_is_a_change_without_it() -> None:
    mark = stamp(SOURCE)
    seen = read(record(item(1, mark), item(2, mark)), "sydney")
    assert isinstance(seen, Change)
    assert seen.image == item(2)
    assert seen.write.region == "sydney"


def test_a_put_over_a_copy_that_drops_the_stamp_is_a_change() -> None:
    assert isinstance(read(record(item(1, stamp(SOURCE)), item(2)), "sydney"), Change)


def test_a_deletion_is_copied_unless_the_replicator_announced_it() -> None:
    own = read(record(item(1), None), "london")
    assert isinstance(own, Change)
    assert own.image is None
    assert read(record(item(1, stamp(SOURCE, deleted=True)), None), "sydney") is None


def test_the_announcement_of_a_deletion_is_an_echo() -> None:
    assert isinstance(read(record(item(1), item(1, stamp(SOURCE, deleted=True))), "sydney"), Echo)


def test_a_stamp_tells_the_write_it_was_made_of() -> None:
    assert parse_stamp(stamp(SOURCE)) == SOURCE


def test_of_several_changes_of_an_item_the_last_is_copied_in_order() -> None:
    changes = [change("a", 1), change("b", 2), change("a", 3), change("c", 4)]
    assert [(one.key[0], one.write.at) for one in last_of_each(changes)] == [("b", 2), ("a", 3), ("c", 4)]


def test_the_later_write_wins_and_a_tie_goes_by_the_regions_name() -> None:
    latest = LatestWrites()
    latest.note(change("a", 10, "london"))
    assert not latest.wins(change("a", 9, "sydney"))
    assert latest.wins(change("a", 11, "sydney"))
    assert latest.wins(change("a", 10, "sydney"))
    assert not latest.wins(change("a", 10, "dublin"))


@given(st.permutations([("london", 1), ("sydney", 1), ("london", 5), ("sydney", 4), ("london", 2)]))
def test_the_winner_does_not_depend_on_the_order_of_sight(order: list[tuple[str, int]]) -> None:
    latest = LatestWrites()
    for region, at in order:
        latest.note(change("a", at, region))
    assert [(region, at) for region, at in order if latest.wins(change("a", at, region))] == [("london", 5)]


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    latest = LatestWrites(limit=2)
    for number, key in enumerate("abc"):
        latest.note(change(key, number + 10))
    assert latest.wins(change("a", 1, "sydney"))
    assert not latest.wins(change("c", 1, "sydney"))


class TestOverruled:
    """A copy that was under way while the region itself wrote."""

    def verdict(self, *, own_at: int, copy_at: int, copy_of: str = "london") -> Write | None:
        latest = LatestWrites()
        latest.note(change("a", own_at, "sydney"))
        return latest.overruled(Echo(("a", "s"), Write(copy_at, copy_of), item(0)), "sydney")

    def test_an_older_copy_gives_the_own_write_back(self) -> None:
        assert self.verdict(own_at=20, copy_at=10) == Write(20, "sydney")

    def test_a_later_copy_stays(self) -> None:
        assert self.verdict(own_at=20, copy_at=30) is None

    def test_what_was_put_back_is_not_put_back_again(self) -> None:
        assert self.verdict(own_at=20, copy_at=10, copy_of="sydney") is None
