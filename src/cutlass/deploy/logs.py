"""Lines of a function's log group, and of the interface's, as CloudWatch keeps them."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cutlass.deploy.cloud import Cloud
from cutlass.deploy.errors import CloudError, DeployError
from cutlass.deploy.model import Workspace

INTERFACE = "api"
"""In the place of a function: the access log of the interface."""

_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line with the time it was written at, in milliseconds since 1970."""

    at: int
    text: str

    @property
    def words(self) -> str:
        """The line as people read it: of a structured one its level and message first."""
        moment = datetime.fromtimestamp(self.at / 1000, UTC).strftime("%H:%M:%S")
        try:
            value = json.loads(self.text)
            text = f"{value['level']} {value['message']}"
        except (ValueError, KeyError, TypeError):
            text = self.text.rstrip("\n")
        return f"{moment} {text}"


def log_group(function: str, workspace: Workspace) -> str:
    """Return the name of a function's log group; of the interface's for `api`."""
    if function == INTERFACE:
        return f"/aws/apigateway/cutlass-tech-api-{workspace.name}"
    return f"/aws/lambda/cutlass-tech-{function}-{workspace.name}"


def read_log(
    cloud: Cloud,
    workspace: Workspace,
    function: str,
    *,
    since_seconds: float,
    follow: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LogLine]:
    """Yield lines from so many seconds ago on; with `follow` without end.

    Raises
    ------
    DeployError
        There is no such log group.
    """
    group = log_group(function, workspace)
    start = int((time.time() - since_seconds) * 1000)
    seen: set[str] = set()
    while True:
        newest = start
        for event in _events(cloud, workspace.aws_region, group, start):
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                newest = max(newest, int(event["timestamp"]))
                yield LogLine(int(event["timestamp"]), str(event["message"]))
        if not follow:
            return
        # Lines of one moment may come one after the other: those of the last are asked for again, and told apart.
        start = newest
        sleep(_POLL_SECONDS)


def _events(cloud: Cloud, aws_region: str, group: str, start: int) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        try:
            answer = cloud.call(
                "logs", aws_region, "filter_log_events", logGroupName=group, startTime=start, **token
            )
        except CloudError as error:
            if "ResourceNotFoundException" in error.message:
                hint = "is the function of that name deployed? `cutlass outputs` shows them"
                raise DeployError(f"there is no log group {group}", hint=hint) from None
            raise
        yield from answer.get("events", [])
        if not answer.get("nextToken"):
            return
        token = {"nextToken": answer["nextToken"]}
