"""A whole Cutlass without its processes: a store per region, and what runs between them run by hand.

The test decides when the stream's consumers run and when what one region wrote arrives in another; time
stands still unless the test moves it.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_tables, load_topology
from cutlass.domain.alerts import NEVER, Alert, AlertKind
from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Decision, DecisionRequest
from cutlass.domain.errors import UnavailableError
from cutlass.domain.ids import new_request_id
from cutlass.domain.periods import PeriodRule, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import Pool
from cutlass.domain.regions import Claim
from cutlass.domain.reservations import Reservation
from cutlass.functions.alert_outbox import message_of
from cutlass.platform.streams import Record, StreamReader
from cutlass.storage import Store, keys
from cutlass.storage.alert_items import alert_from_item
from cutlass.storage.alert_rounds import Round
from cutlass.storage.compensation import Compensated
from cutlass.storage.dynamo import Tally
from cutlass.storage.housekeeping import Kept
from cutlass.storage.items import claim_from_item
from cutlass.storage.refunds import RefundView
from cutlass.storage.reservations import Reserved
from cutlass.storage.settings import Settings
from tests.support.books import unlike_the_ledger
from tests.support.engines import Engine
from tests.support.holdings import Holdings
from tests.support.permissions import by_itself
from tests.support.replicator import Replicator

CREDENTIALS = Credentials("111111111111", "local")
_NAMES = itertools.count(1)
_PAGE = 1000  # records of a stream at once, the most it gives


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
            sleep=lambda _: None,
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

    def found(
        self,
        *,
        plan: str = "basic",
        home: str = "london",
        user: str = "ann",
        period: PeriodRule | None = None,
        **limits: int,
    ) -> None:
        """Make the world's organisation and a user of it, and let every region know them."""
        store = self.stores[home]
        store.organisations.put(self.org, plan=plan, home_region=home, period=period)
        store.organisations.put_user(self.org, user, limits=limits)
        self.replicate()

    @by_itself
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
        # Of dynoxide a page that is not full is the last. An empty one of others need not be the end: ministack's
        # come when an iterator has expired, and DynamoDB Local has them before what is new.
        full, enough = (_PAGE, 1) if self.engine.name == "dynoxide" else (1, 2)
        found: list[Record] = []
        ends = 0
        while ends < enough:
            records = readers[identity].read(_PAGE)
            ends = 0 if len(records) >= full else ends + 1
            found += [record for record in records if self._ours(record)]
        for record in found:  # told in the world's time, not in the machine's
            record["dynamodb"]["ApproximateCreationDateTime"] = self.now.timestamp()
        return found

    def _ours(self, record: Record) -> bool:
        change = record["dynamodb"]
        image = change.get("NewImage", {})
        return self.org in {change["Keys"]["pk"]["S"].split("#")[1], image.get("org", {}).get("S")}

    @by_itself
    def reserve(
        self, region: str = "london", user: str = "ann", *, ttl_seconds: int = 300, **request: object
    ) -> Reserved:
        question = DecisionRequest(self.org, user, **request)  # type: ignore[arg-type]
        return self.stores[region].reservations.reserve(question, ttl_seconds=ttl_seconds)

    @by_itself
    def meter(self, region: str = "london") -> list[Record]:
        """Run the consumer of the limits table over all that is new; returns the records it saw."""
        records = self.records(region, "usage-credits", "meter")
        self.stores[region].meter.record(records)
        return records

    @by_itself
    def watch(self, region: str = "london") -> list[Record]:
        """Run what decides on alerts over all that is new in the usage; returns the records it saw."""
        records = self.records(region, "usage", "alert-evaluator")
        self.stores[region].alert_evaluator.record(records)
        return records

    @by_itself
    def look(self, region: str = "london") -> Round:
        """Take the looks for alerts that are due in a region."""
        return self.stores[region].alert_rounds.run(600)

    @by_itself
    def told(self, region: str = "london") -> list[Alert]:
        """The organisation's alerts as a region knows them, the oldest first."""
        return self.stores[region].alerts.history(self.org, limit=10_000).items[::-1]

    def messages(self, region: str = "london") -> list[str]:
        """The ids of the alerts for which the outbox of a region has a message to send, of all that is new."""
        records = self.records(region, "alerts", "alert-outbox")
        return [message["alert_id"] for record in records if (message := message_of(record, region))]

    @by_itself
    def compensate(self, region: str) -> Compensated:
        """Run the consumer of a region's ledger over all that is new, its own and copies."""
        return self.stores[region].compensation.compensate(self.records(region, "ledger", "compensator"))

    @by_itself
    def keep_house(self) -> list[Kept]:
        """Run every region's housekeeping once, over all organisations of the engine."""
        return [store.housekeeping.run(600) for store in self.stores.values()]

    @by_itself
    def refund(self, request_id: str, region: str = "london", user: str = "ann", **options: object) -> RefundView:
        """Ask for a refund; returns it, made now or before."""
        create = self.stores[region].refunds.create
        return create(self.org, user, request_id=request_id, **options)[0]  # type: ignore[arg-type]

    @by_itself
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

    def audit(self, meter: str = "requests", *, ledger: bool = False, metered: bool = False) -> list[str]:
        """What is wrong with the organisation's items, over all regions; nothing, if all is well.

        It looks past a cut between the regions, as a store of its own. With `metered`, all that was written has
        come into the ledger: then every unit that is out of a pool is looked for there.
        """
        self.audited = self.store("london").reconciliation.organisation(
            self.org, meters=[meter], ledger=ledger or metered
        )
        assert not self.audited.not_compared, "nothing goes on here that could be in the way"
        assert not (metered and self.audited.behind), "not everything was metered"
        found = [f"{problem.pk} {problem.sk}: {problem.words}" for problem in self.audited.problems]
        for region in self.stores:
            holdings = Holdings(self, region)
            found += holdings.problems(meter)
            found += unlike_the_ledger(self, region, meter, holdings) if metered else []
        return found + self.alerts_twice()

    @by_itself
    def alerts_twice(self) -> list[str]:
        """What was told more than once of one scope, meter, threshold and period, by one region."""
        if self.stores["london"].alerts.settings(self.org).realert != NEVER:
            return []
        told: Counter[tuple[str, ...]] = Counter()
        for region, store in self.stores.items():
            items = store.dynamo.query(store.settings.table(keys.ALERTS), keys.alerts(region, self.org))
            for alert in (alert_from_item(item) for item in items if item["sk"].startswith("alert#")):
                if alert.kind is not AlertKind.TEST:
                    told[region, alert.scope, alert.meter, alert.kind, alert.threshold, alert.period] += 1
        return [f"{what} was told {times} times" for what, times in told.items() if times > 1]

    def held(self, region: str, meter: str) -> tuple[list[Pool], dict[tuple[str, str], Allotment]]:
        """A region's pools and, by user and period, its allotments."""
        holdings = Holdings(self, region)
        return holdings.pools(meter), holdings.allotments(meter)

    def reservations(self, region: str = "london") -> list[Reservation]:
        """All reservations the organisation ever made in a region."""
        return Holdings(self, region).reservations

    def claims(self) -> list[Claim]:
        """What the organisation's regions claimed of each other and is not settled."""
        found = []
        for survivor in self.topology.regions:
            table = self.stores[survivor].allotments.table
            for origin in self.topology.regions:
                items = self.stores[survivor].dynamo.query(table, keys.claims(survivor, origin))
                found += [claim_from_item(item) for item in items if item["org_id"] == self.org]
        return [claim for claim in found if not claim.settled]

    def request_id(self, *, ahead_ms: int = 0) -> str:
        """A time-ordered request id of the world's time."""
        return new_request_id(to_millis(self.now) + ahead_ms)
