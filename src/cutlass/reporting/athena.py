"""Asks the archive where it lies, by Amazon Athena. Source: AWS, "Amazon Athena API Reference".

The question is the one DuckDB gets. Only `entries` is said differently: the partitions of the table `decisions`
that the span touches, each row once.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.layout import ROOT, months_of
from cutlass.reporting.query import Answer, Watch, checked, too_large
from cutlass.reporting.rows import COLUMNS
from cutlass.reporting.tables import listed, once, quoted
from cutlass.storage.transport import find_credentials

DATABASE, TABLE = "cutlass", "decisions"

_LOOK_SECONDS = 0.3
_PAGE = 1000
_TYPES = {"VARCHAR": "string", "BIGINT": "bigint", "INTEGER": "int", "BOOLEAN": "boolean"}
_NUMBERS = {"bigint", "integer", "int", "hugeint"}
_RAN_OUT = ("EXHAUSTED_RESOURCES", "out of memory", "Out of Memory")


class Athena:
    """Asks one region's Athena.

    Parameters
    ----------
    results : str
        Where Athena puts answers, `s3://bucket/prefix/`.
    from_bytes : int
        It is asked where a report would read more than so many bytes.
    """

    def __init__(
        self,
        aws_region: str,
        results: str,
        *,
        from_bytes: int,
        endpoint: str | None = None,
        workgroup: str = "primary",
        credentials: Credentials | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.from_bytes = from_bytes
        self._url = endpoint or f"https://athena.{aws_region}.amazonaws.com"
        self._region = aws_region
        self._results = results
        self._workgroup = workgroup
        self._credentials = credentials
        self._sleep = sleep
        self._pool = urllib3.PoolManager()

    @contextmanager
    def asked(self, org_id: str, start: datetime, end: datetime, watch: Watch) -> Iterator["_Asked"]:
        """Have a span of one organisation's archive as questions."""
        months = "" if start <= BEGINNING else f" AND month IN {listed(months_of(start, end))}"
        source = once(f"{TABLE} WHERE org = {quoted(org_id)}{months}")
        yield _Asked(self, source, watch)

    def run(self, sql: str, watch: Watch) -> tuple[Answer, int]:
        """Run a query; returns its rows and the bytes it read.

        Raises
        ------
        ReportTooLargeError
            It ran out of what Athena gives it, or has too many rows.
        UnavailableError
            It failed otherwise.
        """
        started = self._call(
            "StartQueryExecution",
            {
                "QueryString": sql,
                "QueryExecutionContext": {"Database": DATABASE},
                "ResultConfiguration": {"OutputLocation": self._results},
                "WorkGroup": self._workgroup,
            },
        )
        query = {"QueryExecutionId": started["QueryExecutionId"]}
        while True:
            execution = self._call("GetQueryExecution", query)["QueryExecution"]
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                break
            if status["State"] not in {"QUEUED", "RUNNING"}:
                why = status.get("StateChangeReason", status["State"])
                if any(sign in why for sign in _RAN_OUT):
                    raise too_large("the query does not fit into what Athena gives one")
                raise UnavailableError(f"Athena could not answer: {why[:300]}", retry_after=30)
            try:
                watch.tell(0.0)
            except BaseException:
                self._call("StopQueryExecution", query)
                raise
            self._sleep(_LOOK_SECONDS)
        scanned = int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
        return checked(list(self._rows(query))), scanned

    def _rows(self, query: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
        page: dict[str, Any] = {}
        first = True
        while first or page.get("NextToken"):
            token = {"NextToken": page["NextToken"]} if not first else {}
            page = self._call("GetQueryResults", {**query, "MaxResults": _PAGE, **token})
            found = page["ResultSet"]
            types = [column["Type"] for column in found["ResultSetMetadata"]["ColumnInfo"]]
            for row in found["Rows"][1 if first else 0 :]:  # the first row of all is the names
                yield tuple(_value(cell, kind) for cell, kind in zip(row["Data"], types, strict=True))
            first = False

    def _call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AmazonAthena.{operation}"}
        self._credentials = self._credentials or find_credentials()
        request = AWSRequest(method="POST", url=self._url + "/", data=data, headers=headers)
        SigV4Auth(self._credentials.get_frozen_credentials(), "athena", self._region).add_auth(request)
        signed = {name: str(value) for name, value in request.headers.items()}
        try:
            answer = self._pool.request("POST", self._url + "/", body=data, headers=signed, timeout=30, retries=3)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"Athena could not be reached: {type(error).__name__}") from None
        if answer.status != 200:
            raise UnavailableError(f"Athena refused {operation}: {answer.data[:300].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(answer.data)
        return found


class _Asked:
    """Questions about one span."""

    def __init__(self, athena: Athena, source: str, watch: Watch) -> None:
        self.scanned_bytes = 0
        self._athena = athena
        self._source = source
        self._watch = watch

    def ask(self, sql: str) -> Answer:
        """Return the rows of an answer."""
        rest = f", {sql.removeprefix('WITH ')}" if sql.startswith("WITH ") else f" {sql}"
        rows, scanned = self._athena.run(f"WITH entries AS ({self._source}){rest}", self._watch)
        self.scanned_bytes += scanned
        return rows


def table_input(bucket: str) -> dict[str, Any]:
    """Return the table as the Glue catalogue takes it: partitions follow from the keys, none is registered.

    Parameters
    ----------
    bucket : str
        The archive's, as `s3://bucket`.
    """
    parquet = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Name": TABLE,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "org", "Type": "string"}, {"Name": "month", "Type": "string"}],
        "Parameters": {
            "classification": "parquet",
            "projection.enabled": "true",
            "projection.org.type": "injected",
            "projection.month.type": "date",
            "projection.month.format": "yyyy-MM",
            "projection.month.range": "2024-01,NOW+1MONTHS",
            "projection.month.interval": "1",
            "projection.month.interval.unit": "MONTHS",
            "storage.location.template": f"{bucket}/{ROOT}org=${{org}}/month=${{month}}/",
        },
        "StorageDescriptor": {
            "Columns": [
                {"Name": column.name, "Type": _TYPES[column.type], "Comment": column.about} for column in COLUMNS
            ],
            "Location": f"{bucket}/{ROOT}",
            "InputFormat": f"{parquet}.MapredParquetInputFormat",
            "OutputFormat": f"{parquet}.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": f"{parquet}.serde.ParquetHiveSerDe"},
        },
    }


def _value(cell: Mapping[str, str], kind: str) -> str | int | None:
    text = cell.get("VarCharValue")
    if text is None:
        return None
    return int(text) if kind in _NUMBERS else text
