"""What a report is asked for with: its type, span of time, division, filters and format."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from cutlass.domain.errors import InvalidRequestError

Problems = Callable[[str, Mapping[str, Any]], list[tuple[str, str]]]
"""Finds what is wrong with a body of a type: the fields, as paths of names, each with what is wrong with it."""

EVERYONE = "*"
"""Where an organisation's name would be, of a report over all of them: no organisation can be called that."""


@dataclass(frozen=True, slots=True)
class ReportType:
    """One type of report, and what may be asked of it; the first granularity is the one unless another is named."""

    name: str
    title: str
    about: str
    granularities: tuple[str, ...]
    group_by: tuple[str, ...]
    filters: tuple[str, ...]
    max_days: int


@dataclass(frozen=True, slots=True)
class ReportCatalogue:
    """The types by name, the formats, and the JSON Schema of a request's body by the name of its type."""

    types: Mapping[str, ReportType]
    formats: tuple[str, ...]
    schemas: Mapping[str, Mapping[str, Any]]
    problems: Problems

    def check(self, body: Mapping[str, Any]) -> ReportType:
        """Return the type a body asks for; raises `InvalidRequestError` naming the first field that is wrong."""
        name = body.get("type")
        if not isinstance(name, str) or name not in self.types:
            raise InvalidRequestError(
                f"type must be one of {', '.join(self.types)}",
                field="type",
                hint="`cutlass report --help` tells what each is",
            )
        for where, what in self.problems(name, body):
            raise InvalidRequestError(f"{where or 'the body'}: {what}", field=where or None)
        return self.types[name]


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """One report, wholly described: equal specs give equal reports of the same archive.

    Attributes
    ----------
    type, format : str
        As `contracts/reports.yaml` names them.
    org_id : str
        The organisation, or `EVERYONE`.
    start, end : datetime
        The span `[start, end)`, in UTC.
    time_zone : str
        The IANA zone whose days, weeks (from Monday) and months divide the span.
    granularity : str
        `hour`, `day`, `week`, `month` or `total`.
    group_by : tuple of str
        By what figures are told apart, in the order of the columns.
    filters : Mapping of str to tuple of str
        Of what only some are told: any of the values of each name.
    """

    type: str
    org_id: str
    start: datetime
    end: datetime
    time_zone: str = "UTC"
    granularity: str = "day"
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    format: str = "json"

    @classmethod
    def of(cls, org_id: str, body: Mapping[str, Any], catalogue: ReportCatalogue) -> "ReportSpec":
        """Read a request's body; `from` and `to` are times, or dates that begin at midnight in `time_zone`.

        Raises
        ------
        InvalidRequestError
            The body breaks the catalogue's schema, a time or zone does not exist, or the span is empty or too
            long; `field` names the part.
        """
        wanted = catalogue.check(body)
        zone = _zone(body.get("time_zone", "UTC"))
        start, end = (_moment(name, body[name], zone) for name in ("from", "to"))
        if end <= start:
            raise InvalidRequestError("to must be after from", field="to")
        if end - start > timedelta(days=wanted.max_days, hours=25):
            raise InvalidRequestError(
                f"a {wanted.title.lower()} report covers {wanted.max_days} days at most", field="to"
            )
        granularity = body.get("granularity", wanted.granularities[0])
        if granularity == "hour" and end - start > timedelta(days=93):
            raise InvalidRequestError("hours are told apart in 93 days at most", field="granularity")
        filters = {
            name: tuple(sorted(set(values))) for name, values in sorted(body.get("filters", {}).items()) if values
        }
        return cls(
            type=wanted.name,
            org_id=org_id,
            start=start,
            end=end,
            time_zone=zone.key,
            granularity=granularity,
            group_by=tuple(body.get("group_by", ())),
            filters=MappingProxyType(filters),
            format=body.get("format", "json"),
        )

    def body(self) -> dict[str, Any]:
        """The spec as the body of a request: `of` makes the same of it again."""
        return {
            "type": self.type,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "time_zone": self.time_zone,
            "granularity": self.granularity,
            "group_by": list(self.group_by),
            "filters": {name: list(values) for name, values in self.filters.items()},
            "format": self.format,
        }

    def digest(self) -> str:
        """Name the request: the same for identical ones of one organisation (64 hexadecimal digits)."""
        text = json.dumps([self.org_id, self.body()], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise InvalidRequestError(
            f"time_zone: there is no time zone {name[:64]!r}",
            field="time_zone",
            hint="an IANA name like Europe/London",
        ) from None


def _moment(name: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        local = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(f"{name}: there is no time {text[:40]!r}", field=name) from None
