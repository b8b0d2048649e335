"""The functions behind reports: what their events make them do, and what is left to come again."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from cutlass.domain.errors import UnavailableError
from cutlass.domain.report_jobs import Job, State
from cutlass.functions import report_dispatcher, report_scheduler, report_worker, stream_recovery
from cutlass.storage.codec import encode_item
from cutlass.storage.report_items import job_from_item, job_to_item

JOB = Job(
    region="london",
    name="r1",
    org_id="acme",
    user_id="ann",
    feature="report.export",
    meter="reports",
    units=5,
    report={"type": "usage", "group_by": ["user"]},
    digest="d",
    reservation_id="london-r",
    created_ms=1_790_000_000_000,
    deadline_ms=1_790_000_000_000,
)


class Shop:
    """In place of the store: takes messages, and refuses some."""

    region = "london"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.refuse = False
        self.queues = SimpleNamespace(send=self._send)

    def _send(self, queue: str, message: Any) -> None:
        if self.refuse:
            raise UnavailableError("the queue did not answer in time")
        self.sent.append((queue, message))


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop()
    for module in (report_dispatcher, report_worker, report_scheduler):
        monkeypatch.setattr(module, "open_store", lambda: made)
    return made


def record(place: int, item: dict[str, Any]) -> dict[str, Any]:
    image = encode_item(item)
    keys = {name: image[name] for name in ("pk", "sk")}
    change = {"Keys": keys, "SequenceNumber": str(place), "NewImage": image}
    return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change}


def test_a_job_survives_its_item() -> None:
    assert job_from_item(job_to_item(JOB)) == JOB


def test_only_this_regions_jobs_that_are_to_be_made_are_sent(shop: Shop) -> None:
    items = [
        job_to_item(JOB),
        job_to_item(JOB) | {"pk": "sydney#acme#reports"},
        job_to_item(JOB) | {"state": str(State.RUNNING)},
        {"pk": "london#acme#schedules", "sk": "monthly", "send": 1},
    ]
    event = {"Records": [record(place, item) for place, item in enumerate(items, 1)]}
    assert report_dispatcher.handler(event, None) == {"batchItemFailures": []}
    assert shop.sent == [("reports", {"v": 1, "org_id": "acme", "report_id": "london-r1"})]


def test_a_message_that_cannot_be_sent_is_left_to_the_stream(shop: Shop) -> None:
    shop.refuse = True
    event = {"Records": [record(1, job_to_item(JOB)), record(2, job_to_item(JOB))]}
    with pytest.raises(Exception, match="All records failed"):
        report_dispatcher.handler(event, None)
    shop.refuse = False
    assert stream_recovery._AGAIN["report-dispatcher"](event, None) == {"batchItemFailures": []}
    assert len(shop.sent) == 2


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"v":1,"org_id":"acme"}'])
def test_a_message_that_is_none_goes_to_the_dead_letters(shop: Shop, body: str) -> None:
    event = {"Records": [{"messageId": "m1", "body": body}]}
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    assert report_worker.handler(event, context) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_a_store_that_does_not_answer_lets_the_message_come_again(shop: Shop) -> None:
    def claim(*_: str) -> None:
        raise UnavailableError("the store did not answer in time")

    shop.reports = SimpleNamespace(claim=claim)  # type: ignore[attr-defined]
    event = {"Records": [{"messageId": "m1", "body": json.dumps({"org_id": "acme", "report_id": "london-r1"})}]}
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    assert report_worker.handler(event, context) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    shop.reports = SimpleNamespace(claim=lambda *_: None)  # type: ignore[attr-defined]
    assert report_worker.handler(event, context) == {"batchItemFailures": []}, "it is another's, or has ended"


def test_a_schedule_that_fails_does_not_keep_the_sweep_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_scheduler.metrics.provider, "namespace", "Cutlass")  # the environment's in Lambda
    swept = []

    def run(*_: object) -> int:
        raise UnavailableError("the home region does not answer")

    shop.schedules = SimpleNamespace(run=run)  # type: ignore[attr-defined]
    shop.reports = SimpleNamespace(sweep=lambda limit: swept.append(limit) or 0)  # type: ignore[attr-defined]
    with pytest.raises(UnavailableError):
        report_scheduler.handler({}, None)
    assert swept == [report_scheduler.PER_RUN]
