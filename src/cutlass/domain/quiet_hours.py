"""When a mail may be sent: not in an organisation's quiet hours, and with a digest only once an hour or a day."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cutlass.domain.alerts import AlertSettings, QuietHours

DAILY_AT = time(8)
"""When a daily digest is sent, in UTC, unless quiet hours say when the day begins."""


def send_at(settings: AlertSettings, now: datetime) -> datetime:
    """Return when a mail about something that happened now is sent: now, or later (UTC).

    The end of a digest's hour or day comes first; if that lies in the quiet hours, it is their end.
    """
    due = now.astimezone(UTC)
    quiet = settings.quiet_hours
    if settings.digest == "hourly":
        due = due.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif settings.digest == "daily":
        due = _next(quiet.end, quiet.time_zone, now) if quiet else _next(DAILY_AT, "UTC", now)
    if quiet and is_quiet(quiet, due):
        due = _next(quiet.end, quiet.time_zone, due)
    return due


def is_quiet(quiet: QuietHours, moment: datetime) -> bool:
    """Whether the moment (aware) lies in the quiet hours; those that begin and end alike are none."""
    local = moment.astimezone(ZoneInfo(quiet.time_zone)).time()
    if quiet.start <= quiet.end:
        return quiet.start <= local < quiet.end
    return local >= quiet.start or local < quiet.end


def _next(at: time, time_zone: str, after: datetime) -> datetime:
    """The first time after the moment at which local clocks show `at`, in UTC.

    Where clocks are put forward over it, it is the moment they are put forward by as much later.
    """
    zone = ZoneInfo(time_zone)
    day = after.astimezone(zone).date()
    for offset in range(3):
        found = datetime.combine(day + timedelta(days=offset), at, zone).astimezone(UTC)
        if found > after:
            return found
    raise AssertionError("no day has passed in three")
