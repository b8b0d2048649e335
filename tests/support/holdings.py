"""What one region of a world holds and has set aside, read off all its items, as reservations have no list."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cutlass.domain import invariants
from cutlass.domain.allotments import Allotment
from cutlass.domain.pools import Pool
from cutlass.domain.reservations import State
from cutlass.storage import keys
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.items import allotment_from_item, pool_from_item, reservation_from_item

if TYPE_CHECKING:
    from tests.support.world import World


class Holdings:
    """The organisation's items in one region, as they are now."""

    def __init__(self, world: "World", region: str) -> None:
        self._world, self._region, self._org = world, region, world.org
        self._items = list(self._read())
        made = [item for item in self._items if item["sk"] == "reservation" and item.get("org") == world.org]
        self.reservations = [reservation_from_item(item) for item in made]

    def pools(self, meter: str) -> list[Pool]:
        """All pools of a meter, users' own ones too."""
        pools_of = f"{self._region}#{self._org}#{meter}#pools"
        return [pool_from_item(item) for item in self._items if item["pk"].startswith(pools_of)]

    def allotments(self, meter: str) -> dict[tuple[str, str], Allotment]:
        """All allotments of a meter, by user and period."""
        found = {}
        for item in self._items:
            key = keys.parse_allotment(item["pk"], item["sk"])
            if key and key[3] == meter:
                found[key[2], key[4]] = allotment_from_item(item)
        return found

    def problems(self, meter: str) -> list[str]:
        """What does not fit between reservations, the allotments they were taken from, pools and deadlines."""
        reservations = [one for one in self.reservations if one.meter == meter]
        allotments = self.allotments(meter)
        problems = invariants.check_attribution(self.pools(meter), allotments.values(), reservations)
        for holder, allotment in allotments.items():
            of_holder = [one for one in reservations if (one.user_id, one.period) == holder]
            problems += invariants.check_reservations(allotment, of_holder)
        due = f"{self._region}#deadlines#"
        named = {item["sk"].partition("#")[2] for item in self._items if item["pk"].startswith(due)}
        problems += [
            f"reservation {one.name} is {one.state}, its deadline says otherwise"
            for one in reservations
            if (one.name in named) != (one.state is State.HELD)
        ]
        return [f"{self._region}: {problem}" for problem in problems]

    def _read(self) -> Iterator[Item]:
        prefixes = (f"{self._region}#{self._org}#", f"{self._region}#reservation#", f"{self._region}#deadlines#")
        request: dict[str, object] = {
            "TableName": self._world.stores[self._region].allotments.table,
            "ConsistentRead": True,
            "FilterExpression": " OR ".join(f"begins_with(pk, :p{number})" for number in range(len(prefixes))),
            "ExpressionAttributeValues": {f":p{number}": {"S": one} for number, one in enumerate(prefixes)},
        }
        return scan(self._world, self._region, request)


def scan(world: "World", region: str, request: dict[str, object]) -> Iterator[Item]:
    """Read all pages of a scan at a region's DynamoDB."""
    while True:
        answer = world.engine.wire(region).call("dynamodb", "Scan", request)
        yield from map(decode_item, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
