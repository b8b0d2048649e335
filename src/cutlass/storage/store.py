"""One region's view of everything Cutlass stores: what the functions open."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_topology
from cutlass.domain.errors import ContractError, UnavailableError
from cutlass.domain.plans import Catalogue, Topology
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments
from cutlass.storage.balances import Balances
from cutlass.storage.compensation import Compensation
from cutlass.storage.decider import Decider
from cutlass.storage.depots import Depots
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo, DynamoError, Tally
from cutlass.storage.grants import Grants
from cutlass.storage.housekeeping import Housekeeping
from cutlass.storage.ledger import Ledger
from cutlass.storage.metering import Meter
from cutlass.storage.minting import Minting
from cutlass.storage.organisations import Organisations
from cutlass.storage.peers import Peers
from cutlass.storage.pools import Pools
from cutlass.storage.rebalancer import Rebalancer
from cutlass.storage.reconciliation import Reconciliation
from cutlass.storage.refunds import Refunds
from cutlass.storage.regions import Gate
from cutlass.storage.reservations import Reservations
from cutlass.storage.settings import Settings
from cutlass.storage.shortages import Shortages
from cutlass.storage.stripes import Stripes
from cutlass.storage.subjects import Subjects
from cutlass.storage.supply import Supply
from cutlass.storage.sweeps import Sweeps
from cutlass.storage.terms import TermsKeeper
from cutlass.storage.transfers import Transfers
from cutlass.storage.usage import Usage

if TYPE_CHECKING:
    from cutlass.storage.alert_dues import AlertDues
    from cutlass.storage.alert_evaluator import AlertEvaluator
    from cutlass.storage.alert_rounds import AlertRounds
    from cutlass.storage.alert_settings import AlertSettingsStore
    from cutlass.storage.alert_table import AlertTable
    from cutlass.storage.alerts import Alerts
    from cutlass.storage.deliveries import Deliveries
    from cutlass.storage.queues import Queues
    from cutlass.storage.report_files import ReportFiles
    from cutlass.storage.report_requests import ReportRequests
    from cutlass.storage.reports import Reports
    from cutlass.storage.schedules import Schedules

_HEALTH_SECONDS = 0.3
"""How long a health check waits for the region's state; without it, it tells what it last saw."""


def _now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The parts of the store, put together for one region; threads may share it.

    Parameters
    ----------
    clock : Callable, optional
        The time, an aware datetime; tests pass their own.
    monotonic : Callable, optional
        Seconds that pass, for what is remembered a moment.
    sleep : Callable, optional
        Waits so many seconds for another process's work.
    tally : Tally, optional
        Counts the requests to this region's DynamoDB.
    credentials : Credentials, optional
        Whose calls they are; found in the surroundings unless given.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        topology: Topology,
        *,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tally: Tally | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        if settings.region not in topology.regions:
            raise ContractError(
                f"CUTLASS_REGION is {settings.region!r}, which contracts/regions.yaml does not have"
            )
        self.settings = settings
        self.region = region = settings.region
        self.catalogue = catalogue
        self.topology = topology
        self.clock = clock
        self._credentials = credentials
        self._monotonic = monotonic
        dynamos = {
            name: Dynamo(
                peer.aws_region,
                endpoint=settings.endpoint if name == region else settings.peer_endpoints.get(name),
                timeout_seconds=settings.store_timeout_seconds,
                credentials=credentials,
                tally=tally if name == region else None,
            )
            for name, peer in topology.regions.items()
        }
        self.dynamo = dynamo = dynamos[region]
        self._hasty = Dynamo(
            topology.regions[region].aws_region,
            endpoint=settings.endpoint,
            timeout_seconds=_HEALTH_SECONDS,
            credentials=credentials,
        )
        limits, organisations = settings.table(keys.LIMITS), settings.table(keys.ORGANISATIONS)
        self.peers = peers = Peers(dynamos, region, monotonic)
        self.gate = Gate(peers, organisations, monotonic)
        self.directory = Directory(peers, organisations, topology, monotonic=monotonic)
        self.allotments = Allotments(dynamo, limits, region)
        self.pools = Pools(dynamo, limits, organisations, region)
        self.ledger = Ledger(dynamo, settings.table(keys.LEDGER), region, topology.regions)
        self.usage = Usage(dynamo, settings.table(keys.USAGE), region, topology.regions, clock)
        self.minting = Minting(peers, self.directory, self.pools, catalogue, organisations, clock)
        self.keeper = TermsKeeper(dynamo, self.directory, self.allotments, self.pools, catalogue, clock)
        self.transfers = Transfers(peers, limits, organisations, clock)
        subjects = Subjects(dynamo, self.directory, self.allotments, self.pools, catalogue, clock)
        stripes = Stripes(dynamo, limits, region)
        self.rebalancer = Rebalancer(
            peers,
            self.directory,
            subjects,
            self.transfers,
            Sweeps(limits, clock),
            self.gate,
            catalogue,
            clock,
            monotonic,
            sleep,
        )
        self.supply = Supply(
            dynamo,
            subjects,
            self.allotments,
            self.pools,
            self.minting,
            Shortages(subjects, self.transfers, self.rebalancer, stripes, clock, monotonic),
            stripes,
            Depots(dynamo, subjects, self.allotments, self.pools, self.gate, clock),
            self.gate,
            clock,
        )
        self.decider = Decider(
            self.directory, subjects, self.allotments, self.supply, self.ledger, catalogue, clock
        )
        self.reservations = Reservations(peers, self.decider, subjects, self.supply, catalogue, limits, clock)
        self.organisations = Organisations(
            self.directory, self.minting, self.keeper, catalogue, organisations, clock
        )
        self.grants = Grants(self.directory, self.keeper, catalogue, organisations, clock)
        self.balances = Balances(dynamo, self.directory, self.pools, self.usage, catalogue, limits, clock)
        ledger = settings.table(keys.LEDGER)
        self.refunds = Refunds(peers, self.directory, self.ledger, catalogue, clock, limits=limits, ledger=ledger)
        self.compensation = Compensation(dynamo, ledger, region, topology.regions, self.refunds)
        self.housekeeping = Housekeeping(
            dynamo,
            self.directory,
            self.allotments,
            self.pools,
            self.minting,
            catalogue,
            clock,
            monotonic,
        )
        self.meter = Meter(self.allotments, self.ledger, self.usage, clock)
        self.reconciliation = Reconciliation(peers, self.directory, settings, catalogue, clock)

    # Alerts and reports are no part of a decision: what they need is imported, and made, when it is asked for.

    @cached_property
    def _alert_table(self) -> "AlertTable":
        from cutlass.storage.alert_homes import AlertHomes  # noqa: PLC0415
        from cutlass.storage.alert_table import AlertTable  # noqa: PLC0415

        table, dynamo = self.settings.table, self.dynamo
        organisations, days = table(keys.ORGANISATIONS), table(keys.USAGE)
        homes = AlertHomes(dynamo, self.topology, self.region, organisations, days, self._monotonic)
        return AlertTable(table(keys.ALERTS), dynamo, self.directory, homes, self.catalogue, self.clock)

    @cached_property
    def deliveries(self) -> "Deliveries":
        """The log of what was delivered of alerts and reports."""
        from cutlass.storage.deliveries import Deliveries  # noqa: PLC0415

        table = self.settings.table(keys.ALERTS)
        return Deliveries(self.dynamo, table, self.region, self.topology.regions, self.clock)

    @cached_property
    def alert_settings(self) -> "AlertSettingsStore":
        """What organisations are told of."""
        from cutlass.storage.alert_settings import AlertSettingsStore  # noqa: PLC0415

        return AlertSettingsStore(self._alert_table)

    @cached_property
    def alerts(self) -> "Alerts":
        """The alerts that were recorded."""
        from cutlass.storage.alerts import Alerts  # noqa: PLC0415

        return Alerts(self._alert_table, self.alert_settings)

    @cached_property
    def alert_dues(self) -> "AlertDues":
        """The looks that are due without usage."""
        from cutlass.storage.alert_dues import AlertDues  # noqa: PLC0415

        return AlertDues(self._alert_table)

    @cached_property
    def alert_evaluator(self) -> "AlertEvaluator":
        """What decides on alerts."""
        from cutlass.storage.alert_evaluator import AlertEvaluator  # noqa: PLC0415
        from cutlass.storage.alert_figures import AlertFigures  # noqa: PLC0415

        limits, days = self.settings.table(keys.LIMITS), self.settings.table(keys.USAGE)
        figures = AlertFigures(
            self.dynamo,
            self.usage,
            self.topology.regions,
            self.region,
            limits=limits,
            days=days,
            clock=self.clock,
        )
        return AlertEvaluator(self._alert_table, self.alert_settings, figures, self.alert_dues, self.pools)

    @cached_property
    def alert_rounds(self) -> "AlertRounds":
        """What looks at organisations without usage."""
        from cutlass.storage.alert_rounds import AlertRounds  # noqa: PLC0415

        return AlertRounds(
            self._alert_table,
            self.alert_dues,
            self.alert_evaluator,
            limits=self.settings.table(keys.LIMITS),
            monotonic=self._monotonic,
        )

    @cached_property
    def reports(self) -> "Reports":
        """The jobs of reports."""
        from cutlass.storage.reports import Reports  # noqa: PLC0415

        return Reports(self.peers, self.reservations, self.settings.table(keys.REPORTS), self.clock)

    @cached_property
    def report_requests(self) -> "ReportRequests":
        """The requests for reports."""
        from cutlass.storage.report_requests import ReportRequests  # noqa: PLC0415

        table = self.settings.table(keys.REPORTS)
        return ReportRequests(self.peers, self.reservations, self.organisations, table, self.clock)

    @cached_property
    def schedules(self) -> "Schedules":
        """The schedules of reports."""
        from cutlass.storage.schedules import Schedules  # noqa: PLC0415

        table = self.settings.table(keys.REPORTS)
        return Schedules(self.peers, self.directory, self.report_requests, self.catalogue, table, self.clock)

    @cached_property
    def report_files(self) -> "ReportFiles":
        """The files of reports."""
        from cutlass.storage.report_files import ReportFiles  # noqa: PLC0415

        return ReportFiles(self.settings, self.topology, self._credentials)

    @cached_property
    def queues(self) -> "Queues":
        """The queues of this region."""
        from cutlass.storage.queues import Queues  # noqa: PLC0415

        aws_region, endpoint = self.topology.regions[self.region].aws_region, self.settings.endpoint
        return Queues(self.settings.queue, aws_region, endpoint=endpoint, credentials=self._credentials)

    def fenced(self) -> bool:
        """Whether an operator has fenced this region, from a look at most two seconds old that waits little."""
        return self.gate.fenced(self._hasty)

    def ping(self) -> dict[str, bool]:
        """Ask every table for an item; False for one that does not answer in time."""
        tables = (keys.LIMITS, keys.ORGANISATIONS, keys.LEDGER, keys.USAGE, keys.ALERTS)
        with ThreadPoolExecutor(len(tables)) as pool:
            return dict(zip(tables, pool.map(self._answers, tables), strict=True))

    def _answers(self, table: str) -> bool:
        try:
            self.dynamo.get(self.settings.table(table), *keys.heartbeat(self.region), consistent=False)
        except (UnavailableError, DynamoError):
            return False
        return True


@cache
def open_store() -> Store:
    """Open the store of the region this process runs in, once per process."""
    return Store(Settings.from_environment(), load_catalogue(), load_topology())
