"""Times as callers write them: RFC 3339."""

import re
from datetime import UTC, datetime, timedelta, timezone

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def parse_time(text: str) -> datetime:
    """Return the moment in UTC; what is finer than a microsecond is cut off.

    An offset that leads out of the years 1 to 9999 gives the first or last moment of them.

    Raises
    ------
    ValueError
        It is not RFC 3339, with a message to follow the name of the field.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("must be a time like 2026-12-01T00:00:00Z")
    year, month, day, hour, minute, second = (int(group) for group in match.groups()[:6])
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    # A leap second is taken as the second after which it is inserted: no clock here has one.
    leap = second == 60
    try:
        local = datetime(year, month, day, hour, minute, 59 if leap else second, micros, tzinfo=UTC)
        offset = timezone(timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0)))
    except ValueError:
        raise ValueError("must be a time that exists, like 2026-12-01T00:00:00Z") from None
    if int(match[10] or 0) > 59:
        raise ValueError("must have an offset of less than a day, like +01:00")
    shift = offset.utcoffset(None) if match[8] != "-" else -offset.utcoffset(None)
    try:
        return local - shift
    except OverflowError:
        return _EARLIEST if year == 1 else _LATEST
