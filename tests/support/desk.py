"""A world with what reports need besides the store: a shelf for their files, and a way to make them that obeys."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cutlass.contracts import load_reports
from cutlass.domain.errors import UnavailableError
from cutlass.domain.periods import to_millis
from cutlass.domain.report_jobs import Job
from cutlass.domain.reports import ReportSpec
from cutlass.functions import report_dispatcher, report_worker
from cutlass.functions.reports import FEATURE
from cutlass.reporting import Made
from cutlass.storage import keys
from cutlass.storage.codec import decode_item
from cutlass.storage.report_requests import Answered, Asked
from tests.support.permissions import acting, by_itself
from tests.support.world import World

Making = Callable[[ReportSpec, Path, Callable[[float], None], Callable[[], bool]], None]


def obey(spec: ReportSpec, out: Path, progress: Callable[[float], None], cancelled: Callable[[], bool]) -> None:
    """Make what is asked for without a word."""


def raising(error: BaseException) -> Making:
    """Fail to make what is asked for."""

    def making(*_: object) -> None:
        raise error

    return making


@dataclass
class Desk:
    """Asks for reports in a world, and makes them.

    Attributes
    ----------
    making : callable
        Runs in the place of making a report, and may raise.
    refusals : int
        How many files the bucket still refuses.
    files : dict
        What is in the buckets, by key.
    sent : list
        What was sent: queue and message.
    """

    world: World
    making: Making = obey
    refusals: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def install(self, patch: pytest.MonkeyPatch, folder: Path) -> "Desk":
        patch.setenv("CUTLASS_ARCHIVES", f'["{folder}"]')
        patch.setenv("CUTLASS_REGION", "london")
        patch.setattr(report_worker, "make", self._make)
        for store in self.world.stores.values():
            patch.setattr(store.report_files, "put", self._put)
            patch.setattr(store.queues, "send", lambda queue, message: self.sent.append((queue, message)))
        return self

    def _make(
        self, spec: ReportSpec, _archive: object, out: Path, *, progress: Any, cancelled: Any, **_: Any
    ) -> Made:
        self.making(spec, out, progress, cancelled)
        path = out / "usage.json"
        path.write_text("{}")
        return Made(path, "application/json", path.name, 1, 2)

    def _put(self, job: Job, path: Path, *, filename: str, content_type: str) -> str:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("403 AccessDenied")
        key = f"{job.org_id}/{job.name}/{job.attempt}/{filename}"
        self.files[key] = path.read_bytes()
        return key

    @by_itself
    def ask(
        self, region: str = "london", *, user: str | None = "ann", request: str | None = None, **report: Any
    ) -> Answered:
        body = {"type": "usage", "from": "2026-10-01", "to": "2026-11-01", **report}
        spec = ReportSpec.of(self.world.org, body, load_reports())
        asked = Asked(
            self.world.org, user, FEATURE, spec.body(), spec.digest(), to_millis(spec.end), request_id=request
        )
        return self.world.stores[region].report_requests.request(asked)

    def job(self, region: str = "london", **asked: Any) -> Job:
        """Ask for a report that is granted."""
        answered = self.ask(region, **asked)
        assert answered.job is not None, answered.decision
        return answered.job

    @by_itself
    def dispatch(self, region: str = "london") -> list[tuple[str, dict[str, Any]]]:
        """Run the consumer of the reports' stream; returns what it sends."""
        before = len(self.sent)
        for record in self.world.records(region, keys.REPORTS, "dispatcher"):
            image = record["dynamodb"].get("NewImage")
            if image and "N" in image.get("send", {}):  # as the contract's filter has it
                with acting("report-dispatcher", region):
                    report_dispatcher.dispatch_item(self.world.stores[region], decode_item(image))
        return self.sent[before:]

    @by_itself
    def work(self, job: Job, *, left_ms: int = 900_000) -> Job | None:
        return report_worker.work(self.world.stores[job.region], job.org_id, job.report_id, lambda: left_ms)

    @by_itself
    def sweep(self, region: str = "london") -> int:
        return self.world.stores[region].reports.sweep(200)

    @by_itself
    def get(self, job: Job, region: str | None = None) -> Job:
        return self.world.stores[region or job.region].reports.get(job.org_id, job.report_id)

    @by_itself
    def cancel(self, job: Job, region: str | None = None) -> Job:
        return self.world.stores[region or job.region].reports.cancel(job.org_id, job.report_id)

    def paid(self, region: str = "london") -> tuple[int, int]:
        """Units charged and units set aside in a region, over all users."""
        _, allotments = self.world.held(region, "reports")
        return sum(a.used for a in allotments.values()), sum(a.reserved for a in allotments.values())

    def open(self, region: str = "london") -> list[str]:
        """Reports of this world that the sweep still looks after."""
        store = self.world.stores[region]
        table = store.settings.table(keys.REPORTS)
        items = store.dynamo.query(table, keys.open_reports(region))
        return [item["sk"] for item in items if item["org"] == self.world.org]

    def audit(self) -> list[str]:
        return self.world.audit("reports")

    @contextmanager
    def made_by(self, making: Making) -> Any:
        before, self.making = self.making, making
        try:
            yield
        finally:
            self.making = before


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
