"""What a report is asked for with: its type, span of time, division, filters and format."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from cutlass.domain.errors import InvalidRequestError
from cutlass.domain.ids import ID_PATTERN

TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")
VALUE = ID_PATTERN
MAX_VALUES = 100
"""The forms of what a request may hold, and how many values a filter may have."""

EVERYONE = "*"
"""Where an organisation's name would be, of a report over all of them: no organisation can be called that."""


@dataclass(frozen=True, slots=True)
class ReportType:
    """One type of report, and what may be asked of it; a request that names no granularity gets the first."""

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

    def check(self, body: Mapping[str, Any]) -> ReportType:
        """Return the type a body asks for, if the body is what the type's schema takes.

        Raises
        ------
        InvalidRequestError
            It is not; `field` names the first part that is wrong.
        """
        kind = self.types[_choice("type", body.get("type"), self.types)]
        for name in ("from", "to"):
            _text(name, body.get(name), TIME, "a time like 2026-12-01T00:00:00Z, or a date")
        if "time_zone" in body:
            _text("time_zone", body["time_zone"], ZONE, "an IANA time zone like Europe/London")
        if "granularity" in body:
            _choice("granularity", body["granularity"], kind.granularities)
        if "format" in body:
            _choice("format", body["format"], self.formats)
        chosen = [_choice("group_by", item, kind.group_by) for item in _list("group_by", body.get("group_by", []))]
        if len(set(chosen)) < len(chosen):
            raise _wrong("group_by", "names something twice")
        _check_filters(body.get("filters", {}), kind)
        for name in body:
            if name not in _FIELDS:
                raise _wrong(name[:64], f"is not known; known are {', '.join(_FIELDS)}")
        return kind


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
            f"time_zone: there is no time zone {name!r}",
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


_FIELDS = ("type", "from", "to", "time_zone", "granularity", "group_by", "filters", "format")


def _check_filters(filters: object, kind: ReportType) -> None:
    if not isinstance(filters, Mapping):
        raise _wrong("filters", "must be an object of lists")
    for name, values in filters.items():
        where = f"filters.{name[:64]}"
        if name not in kind.filters:
            raise _wrong(where, f"is not known; known are {', '.join(kind.filters) or 'none'}")
        if len(_list(where, values)) > MAX_VALUES:
            raise _wrong(where, f"must have {MAX_VALUES} values at most")
        for value in values:
            _text(where, value, VALUE, "a list of names")


def _list(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(field, "must be a list")
    return value


def _choice(field: str, value: object, options: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in options:
        raise _wrong(field, f"must be one of {', '.join(options) or 'nothing'}")
    return value


def _text(field: str, value: object, pattern: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _wrong(field, f"must be {what}")


def _wrong(field: str, what: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: {what}", field=field)
