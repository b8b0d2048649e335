"""A clock that starts a function, as an EventBridge rule does it."""

import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from cutlass.contracts import Function, Schedule
from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError, Runtime

_log = logging.getLogger(__name__)


def scheduled_event(function: Function, *, region: str, aws_region: str, at: datetime) -> dict[str, Any]:
    """Return the event of an EventBridge rule with a rate."""
    rule = f"{function.resource(ENVIRONMENT, region)}-schedule"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "region": aws_region,
        "resources": [f"arn:aws:events:{aws_region}:{ACCOUNT}:rule/{rule}"],
        "detail": {},
    }


class ScheduleMapping:
    """Calls a function at once and then every so many seconds; a call that fails is made again, twice."""

    def __init__(
        self, runtime: Runtime, *, function: Function, schedule: Schedule, region: str, aws_region: str
    ) -> None:
        self._runtime = runtime
        self._function = function
        self._every = schedule.every_seconds
        self._region = region
        self._aws_region = aws_region
        self.name = f"{function.name} every {schedule.every_seconds} s"

    def run(self, stop: threading.Event, drain: threading.Event) -> None:
        """Keep time until `drain` or `stop`."""
        due = time.monotonic()
        while not stop.is_set() and not drain.is_set():
            self._call(stop)
            due = max(due + self._every, time.monotonic())
            drain.wait(due - time.monotonic())

    def _call(self, stop: threading.Event) -> None:
        event = scheduled_event(
            self._function, region=self._region, aws_region=self._aws_region, at=datetime.now(UTC)
        )
        for attempt in range(3):
            try:
                self._runtime.invoke(self._function.name, event)
            except (FunctionError, FunctionTimeoutError) as error:
                _log.warning("%s: %s", self.name, error.message, exc_info=error.__cause__)
                if stop.wait(1.0 + attempt):
                    return
            else:
                return
