"""What OpenAPI cannot say of the interface, and Schemathesis is not to ask."""

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance


def unsaid(case: schemathesis.Case) -> list[Any]:
    """Checks an operation is spared: what each type of report takes is in contracts/reports.yaml."""
    reports = case.operation.definition.raw["operationId"] in {"createReport", "putReportSchedule"}
    return [positive_data_acceptance] if reports else []
