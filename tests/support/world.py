"""A whole Cutlass without its processes: a store per region, and what runs between them run by hand.

The test decides when the stream's consumers run and when what one region wrote arrives in another; time
stands still unless the test moves it.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_tables, load_topology
from cutlass.domain import invariants
from cutlass.domain.decisions import Decision, DecisionRequest
from cutlass.domain.errors import UnavailableError
from cutlass.domain.ids import new_request_id
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.regions import Claim
from cutlass.domain.reservations import Reservation, State
from cutlass.platform.streams import Record, StreamReader
from cutlass.storage import Store, keys
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.dynamo import Tally
from cutlass.storage.items import allotment_from_item, claim_from_item, pool_from_item, reservation_from_item
from cutlass.storage.reservations import Reserved
from cutlass.storage.settings import Settings
from tests.support.engines import Engine
from tests.support.replicator import Replicator

CREDENTIALS = Credentials("111111111111", "local")
_NAMES = itertools.count(1)


class World:
    """The regions of one engine, as of a time the test sets."""

    def __init__(self, engine: Engine, *, catalogue: Catalogue | None = None) -> None:
        self.engine = engine
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.topology = load_topology()
        self.catalogue = catalogue or load_catalogue()
        self.tally = {region: Tally() for region in self.topology.regions}
        self.stores = {region: self.store(region) for region in self.topology.regions}
        self.org = f"org{next(_NAMES)}"
        self.replicator = Replicator(self)

    def store(self, region: str) -> Store:
        """A store of its own, as another execution environment of a function would have."""
        settings = Settings("dev", region, self.engine.endpoints[region], dict(self.engine.endpoints), 10.0)
        return Store(
            settings,
            self.catalogue,
            self.topology,
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),  # noqa: PLW0108 - `now` moves
            tally=self.tally[region],
        )

    def cut(self) -> None:
        """Part the regions: no call from one reaches another until `heal`."""

        def refuse(*_: object) -> dict[str, object]:
            raise UnavailableError("the regions are parted")

        for region, store in self.stores.items():
            for name in self.topology.regions:
                if name != region:
                    store.directory.at_home(name).call = refuse  # type: ignore[method-assign]

    def heal(self) -> None:
        """Join the regions again; those that did not answer are asked again after a moment."""
        for region, store in self.stores.items():
            for name in self.topology.regions:
                if name != region:
                    store.directory.at_home(name).__dict__.pop("call", None)
        self.pass_time(seconds=6)

    def pass_time(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    def found(self, *, plan: str = "basic", home: str = "london", user: str = "ann", **limits: int) -> None:
        """Make the world's organisation and a user of it, and let every region know them."""
        store = self.stores[home]
        store.organisations.put(self.org, plan=plan, home_region=home)
        store.organisations.put_user(self.org, user, limits=limits)
        self.replicate()

    def check(self, region: str = "london", user: str = "ann", **request: object) -> Decision:
        question = DecisionRequest(self.org, user, **request)  # type: ignore[arg-type]
        return self.stores[region].decider.decide(question)

    def records(self, region: str, table: str, reader: str) -> list[Record]:
        """What a table's stream has grown by, of this world's organisation, since `reader` last looked.

        The readers are the engine's: what earlier worlds wrote is passed over once.
        """
        readers = self.engine.readers
        identity = region, table, reader
        if identity not in readers:
            name = load_tables()[table].resource("dev")
            readers[identity] = StreamReader(self.engine.wire(region), name, None)
        found: list[Record] = []
        empty = 0
        while empty < 2:  # one empty page need not be the end: DynamoDB Local has them before what is new
            records = readers[identity].read(1000)
            empty = 0 if records else empty + 1
            found += [record for record in records if self._ours(record)]
        return found

    def _ours(self, record: Record) -> bool:
        change = record["dynamodb"]
        image = change.get("NewImage", {})
        return self.org in {change["Keys"]["pk"]["S"].split("#")[1], image.get("org", {}).get("S")}

    def reserve(
        self, region: str = "london", user: str = "ann", *, ttl_seconds: int = 300, **request: object
    ) -> Reserved:
        question = DecisionRequest(self.org, user, **request)  # type: ignore[arg-type]
        return self.stores[region].reservations.reserve(question, ttl_seconds=ttl_seconds)

    def meter(self, region: str = "london") -> list[Record]:
        """Run the consumer of the limits table over all that is new; returns the records it saw."""
        records = self.records(region, "usage-credits", "meter")
        self.stores[region].meter.record(records)
        return records

    def replicate(self) -> None:
        """Carry what each region wrote to all others, and the changed terms into their items."""
        self.replicator.arrive()

    @contextmanager
    def counting(self, region: str = "london") -> Iterator[Tally]:
        """Count the requests to one region's DynamoDB inside the block."""
        counted = self.tally[region]
        counted.requests.clear()
        counted.write_units = counted.read_units = 0.0
        yield counted

    def audit(self, meter: str = "requests", *, ledger: bool = False) -> list[str]:
        """What is wrong with the organisation's items, over all regions; nothing, if all is well.

        It looks past a cut between the regions, as a store of its own.
        """
        self.audited = self.store("london").reconciliation.organisation(self.org, meters=[meter], ledger=ledger)
        assert not self.audited.not_compared, "nothing goes on here that could be in the way"
        found = [f"{problem.pk} {problem.sk}: {problem.words}" for problem in self.audited.problems]
        return found + [
            line for region in self.topology.regions for line in self._reservation_problems(region, meter)
        ]

    def _reservation_problems(self, region: str, meter: str) -> list[str]:
        """What is wrong with a region's reservations, and with what they say of their units' pools."""
        reservations = [one for one in self.reservations(region) if one.meter == meter]
        pools, held = [], {}
        for item in self._items(region, self.stores[region].allotments.table):
            key = keys.parse_allotment(item["pk"], item["sk"])
            if key and key[3] == meter:
                held[key[2], key[4]] = allotment_from_item(item)
            elif item["pk"].startswith(f"{region}#{self.org}#{meter}#pools"):
                pools.append(pool_from_item(item))
        problems = invariants.check_attribution(pools, held.values(), reservations)
        for owner, allotment in held.items():
            of_owner = [one for one in reservations if (one.user_id, one.period) == owner]
            problems += invariants.check_reservations(allotment, of_owner)
        return [f"{region}: {line}" for line in problems] + self._deadline_problems(region, reservations)

    def reservations(self, region: str = "london") -> list[Reservation]:
        """All reservations the organisation ever made in a region."""
        items = self._items(region, self.stores[region].allotments.table, f"{region}#reservation#")
        return [reservation_from_item(item) for item in items if item["org"] == self.org]

    def _deadline_problems(self, region: str, reservations: list[Reservation]) -> list[str]:
        """A reservation is found by its deadline as long as it is held, and no longer."""
        items = self._items(region, self.stores[region].allotments.table, f"{region}#deadlines#")
        due = {item["sk"].partition("#")[2] for item in items}
        return [
            f"{region}: reservation {one.name} is {one.state}, its deadline says otherwise"
            for one in reservations
            if (one.name in due) != (one.state is State.HELD)
        ]

    def claims(self) -> list[Claim]:
        """What the organisation's regions claimed of each other and is not settled."""
        found = []
        for survivor in self.topology.regions:
            table = self.stores[survivor].allotments.table
            for origin in self.topology.regions:
                items = self.stores[survivor].dynamo.query(table, keys.claims(survivor, origin))
                found += [claim_from_item(item) for item in items if item["org_id"] == self.org]
        return [claim for claim in found if not claim.settled]

    def _items(self, region: str, table: str, prefix: str | None = None) -> Iterator[Item]:
        """Every item of the organisation in a region's table, or every one whose key begins with a prefix."""
        request: dict[str, object] = {
            "TableName": table,
            "ConsistentRead": True,
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": {":prefix": {"S": prefix or f"{region}#{self.org}#"}},
        }
        while True:
            answer = self.engine.wire(region).call("dynamodb", "Scan", request)
            yield from map(decode_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def request_id(self, *, ahead_ms: int = 0) -> str:
        """A time-ordered request id of the world's time."""
        return new_request_id(to_millis(self.now) + ahead_ms)
