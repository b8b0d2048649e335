"""Asks the archive where it lies, by Amazon Athena. Source: AWS, "Amazon Athena API Reference".

The question is the one DuckDB gets. Only `entries` is said differently: of the tables that infra/100-data-layer
makes, one for each archive, the rows of the files that a reader takes (`cutlass.reporting.layout`), each once.
"""

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Any

from botocore.credentials import Credentials

from cutlass.contracts import load_archive
from cutlass.domain.errors import UnavailableError
from cutlass.reporting.archive import Archive, surroundings
from cutlass.reporting.errors import ArchiveChangedError
from cutlass.reporting.layout import Choice, File
from cutlass.reporting.query import MAX_ROWS, Answer, Watch, checked, too_large
from cutlass.reporting.rows import NAMES
from cutlass.reporting.tables import fresh, listed, quoted
from cutlass.storage.aws import ATHENA, Aws, RefusedError, insist

WORKGROUP = "CUTLASS_ATHENA"
"""The variable that names the workgroup; without it Athena is never asked."""

_BUCKETS = "s3://"
_LONGEST = 200_000
"""Bytes of SQL that the files may take: Athena takes 262,144 of a whole question."""

_LOOK_SECONDS = 0.3
_PAGE = 1000
_NUMBERS = {"bigint", "integer", "int", "hugeint"}
_RAN_OUT = ("exhausted", "out of memory", "exceeded_", "scanned limit", "query timeout")
_SECONDS, _TRIES, _PAUSE = 30.0, 4, 1.0


def catalogued(name: str) -> str:
    """Return how the Glue catalogue calls what has a name in AWS: a bucket's table, a workgroup's database."""
    return name.removeprefix(_BUCKETS).replace("-", "_")


class Athena:
    """Asks one region's Athena.

    Parameters
    ----------
    workgroup : str
        Says where answers are kept and how much a query may read; the database is named after it.
    from_bytes : int
        It is asked where a report would read more than so many bytes.
    """

    def __init__(
        self,
        aws_region: str,
        workgroup: str,
        *,
        from_bytes: int,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = Aws(ATHENA, aws_region, endpoint=endpoint, credentials=credentials, seconds=_SECONDS)
        self._workgroup = workgroup
        self._from_bytes = from_bytes
        self._sleep = sleep

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Athena | None":
        """Open this process's; None where no workgroup is named."""
        workgroup = environ.get(WORKGROUP)
        if not workgroup:
            return None
        region, endpoint = surroundings(environ)
        return cls(region, workgroup, from_bytes=load_archive().athena_from_bytes, endpoint=endpoint)

    def takes(self, choice: Choice) -> bool:
        """Whether it is to be asked: of enough bytes, in buckets, and in files that can be named in a question."""
        return (
            choice.size > self._from_bytes
            and all(file.objects.name.startswith(_BUCKETS) for file in choice.files)
            and len(_entries("", choice)) <= _LONGEST
        )

    @contextmanager
    def asked(
        self, archive: Archive, org_id: str, span: tuple[datetime, datetime], choice: Choice, watch: Watch
    ) -> Iterator["_Asked"]:
        """Have files of one organisation's archive as questions; all are answered of the same files.

        Raises
        ------
        ArchiveChangedError
            Some were replaced meanwhile, and answers may lack what was in them.
        UnavailableError
            Athena does not see them all.
        """
        asked = _Asked(self, _entries(org_id, choice), watch)
        try:
            _look(asked, org_id, choice)
            yield asked
        except UnavailableError:
            _compare(choice, archive.choose(org_id, *span))
            raise
        _compare(choice, archive.choose(org_id, *span))

    def run(self, sql: str, watch: Watch) -> tuple[Answer, int]:
        """Run a query; returns its rows and the bytes it read.

        Raises
        ------
        ReportTooLargeError
            It ran out of what Athena gives it, or has too many rows.
        ReportCancelledError
            It was cancelled; the query is stopped.
        UnavailableError
            It failed otherwise.
        """
        started = self._call(
            "StartQueryExecution",
            {
                "ClientRequestToken": uuid.uuid4().hex,  # a start that is tried again starts one query
                "QueryString": sql,
                "QueryExecutionContext": {"Database": catalogued(self._workgroup)},
                "WorkGroup": self._workgroup,
            },
        )
        query = {"QueryExecutionId": started["QueryExecutionId"]}
        try:
            execution = self._ended(query, watch)
        except BaseException:
            with suppress(UnavailableError):
                self._call("StopQueryExecution", query)
            raise
        rows = checked(list(islice(self._rows(query, watch), MAX_ROWS + 1)))
        return rows, int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))

    def _ended(self, query: Mapping[str, str], watch: Watch) -> dict[str, Any]:
        """Wait until a query has succeeded."""
        while True:
            execution: dict[str, Any] = self._call("GetQueryExecution", query)["QueryExecution"]
            status = execution["Status"]
            if status["State"] == "SUCCEEDED":
                return execution
            if status["State"] not in {"QUEUED", "RUNNING"}:
                why = status.get("StateChangeReason") or status["State"]
                if any(sign in why.lower() for sign in _RAN_OUT):
                    raise too_large("the query does not fit into what Athena gives one")
                raise UnavailableError(f"Athena could not answer: {why[:300]}", retry_after=30)
            watch.tell(0.0)
            self._sleep(_LOOK_SECONDS)

    def _rows(self, query: Mapping[str, str], watch: Watch) -> Iterator[tuple[Any, ...]]:
        token: dict[str, str] = {}
        first = True
        while first or token:
            watch.tell(0.0)
            page = self._call("GetQueryResults", {**query, "MaxResults": _PAGE, **token})
            found = page["ResultSet"]
            types = [column["Type"] for column in found["ResultSetMetadata"]["ColumnInfo"]]
            for row in found["Rows"][1 if first else 0 :]:  # the first row of all is the names
                yield tuple(_value(cell, kind) for cell, kind in zip(row["Data"], types, strict=True))
            token = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
            first = False

    def _call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, again while Athena is busy or does not answer: each of these operations may be done twice."""
        try:
            return insist(
                lambda: self._aws.call(operation, dict(body)),
                UnavailableError,
                tries=_TRIES,
                pause=_PAUSE,
                sleep=self._sleep,
            )
        except RefusedError as refused:
            raise UnavailableError(f"Athena refused: {refused.message}", retry_after=30) from refused


class _Asked:
    """Questions about one choice of files."""

    def __init__(self, athena: Athena, source: str, watch: Watch) -> None:
        self.scanned_bytes = 0
        self._athena = athena
        self._source = source
        self._watch = watch

    def ask(self, sql: str) -> Answer:
        """Return the rows of an answer."""
        rest = f", {sql.removeprefix('WITH ')}" if sql.startswith("WITH ") else f" {sql}"
        return self.plain(f"WITH entries AS ({self._source}){rest}")

    def plain(self, sql: str) -> Answer:
        """Return the rows of an answer to a question about the tables themselves."""
        rows, scanned = self._athena.run(sql, self._watch)
        self.scanned_bytes += scanned
        return rows


def _entries(org_id: str, choice: Choice) -> str:
    """Return the SQL of a choice's rows, each once."""
    clean = _relation(org_id, NAMES, choice.clean)
    if not choice.dirty:
        return f"SELECT {NAMES} FROM {clean}"
    rows = fresh(choice, _relation(org_id, NAMES, choice.dirty), _relation(org_id, NAMES, choice.beside))
    return f"SELECT {NAMES} FROM {clean} UNION ALL {rows}" if choice.clean else rows


def _relation(org_id: str, columns: str, files: Sequence[File]) -> str:
    """Return the SQL of files as a relation, an archive after the other."""
    archives: dict[str, list[File]] = defaultdict(list)
    for file in files:
        archives[file.objects.name].append(file)
    parts = []
    for name, found in archives.items():
        months = listed(sorted({file.place.month for file in found}))
        paths = listed(f"{name}/{file.key}" for file in found)
        where = f'org = {quoted(org_id)} AND month IN {months} AND "$path" IN {paths}'
        parts.append(f"SELECT {columns} FROM {catalogued(name)} WHERE {where}")
    return f"({' UNION ALL '.join(parts)})"


def _look(asked: _Asked, org_id: str, choice: Choice) -> None:
    """See that the tables show what the listing does: what they do not would be missing from every answer.

    Sums may be without rows, and a file without rows shows in no answer.
    """
    wanted = [file for file in choice.files if not file.sums]
    if not wanted:
        return
    paths = _relation(org_id, '"$path" AS place', wanted)
    ((seen,),) = asked.plain(f"SELECT COUNT(DISTINCT place) AS seen FROM {paths}")
    if seen != len(wanted):
        raise UnavailableError(
            f"Athena sees {seen} of {len(wanted)} files of the archive",
            hint="see that 100-data-layer is applied, and that its tables name the archives",
            retry_after=30,
        )


def _compare(before: Choice, after: Choice) -> None:
    """See that no file was taken away: none is before a new generation holds what was in it."""
    there = {file.key for file in after.files}
    gone = any(file.key not in there for file in before.files)
    if gone or _generations(before) != _generations(after):
        raise ArchiveChangedError("the archive was compacted while it was asked", retry_after=5)


def _generations(choice: Choice) -> set[str]:
    return {file.key for file in choice.files if file.generation is not None}


def _value(cell: Mapping[str, str], kind: str) -> str | int | None:
    text = cell.get("VarCharValue")
    if text is None:
        return None
    return int(text) if kind in _NUMBERS else text
