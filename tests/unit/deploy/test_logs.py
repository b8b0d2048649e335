"""Log lines in their order, each once, also when pages and polls overlap."""

import itertools
from typing import Any

import pytest

from cutlass.deploy.errors import CloudError, DeployError
from cutlass.deploy.logs import LogLine, log_group, read_log
from cutlass.deploy.model import Workspace

LONDON = Workspace("dev", "london", "eu-west-2", "111111111111")


class Logs:
    """CloudWatch with these answers, one per call."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def call(self, service: str, aws_region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.asked.append({"service": service, "region": aws_region, "operation": operation, **parameters})
        return self.answers.pop(0)


def event(number: int) -> dict[str, Any]:
    return {"eventId": str(number), "timestamp": number * 1000, "message": f"line {number}\n"}


def test_a_function_has_its_group_and_the_interface_its_own() -> None:
    assert log_group("usage-check", LONDON) == "/aws/lambda/cutlass-tech-usage-check-dev-london"
    assert log_group("api", LONDON) == "/aws/apigateway/cutlass-tech-api-dev-london"


def test_every_line_comes_once_over_pages_and_polls() -> None:
    logs = Logs(
        {"events": [event(1)], "nextToken": "more"},
        {"events": [event(2)]},
        {"events": [event(2), event(3)]},
    )

    lines = read_log(logs, LONDON, "meter", since_seconds=60, follow=True, sleep=lambda _: None)  # type: ignore[arg-type]
    found = [line.text.strip() for line in itertools.islice(lines, 3)]
    assert found == ["line 1", "line 2", "line 3"]
    assert logs.asked[1]["nextToken"] == "more"
    assert [asked["region"] for asked in logs.asked] == ["eu-west-2"] * 3
    assert logs.asked[2]["startTime"] >= logs.asked[0]["startTime"]


def test_a_missing_group_is_told_as_such() -> None:
    class Nothing:
        def call(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise CloudError("filter_log_events failed: ResourceNotFoundException: no group")

    with pytest.raises(DeployError, match="there is no log group /aws/lambda/cutlass-tech-nothing-dev-london"):
        list(read_log(Nothing(), LONDON, "nothing", since_seconds=60, follow=False))  # type: ignore[arg-type]


def test_a_structured_line_is_read_by_its_level_and_message() -> None:
    assert LogLine(0, '{"level": "INFO", "message": "decided"}').words == "00:00:00 INFO decided"
    assert LogLine(0, "START RequestId\n").words == "00:00:00 START RequestId"
    assert LogLine(0, "[1]").words == "00:00:00 [1]"
