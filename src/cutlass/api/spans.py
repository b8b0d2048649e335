"""Spans of time in query strings."""

from datetime import UTC, datetime, timedelta

from cutlass.api.models import SpanQuery
from cutlass.domain.organisations import Organisation

DEFAULT_SPAN = timedelta(days=30)
"""How far a span reaches back that does not say where it begins."""


def span(query: SpanQuery, organisation: Organisation, now: datetime) -> tuple[datetime, datetime]:
    """Return the span `[from, to)` a caller asks for, cut to the time there can be anything in.

    There is nothing before the day the organisation was made, nor after now: what lies outside would only be
    searched in vain. A span that ends before it begins comes out empty.
    """
    until = query.end if query.end is not None else now
    end = min(until, now + timedelta(seconds=1))
    first = organisation.created_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = query.start if query.start is not None else max(first, end) - DEFAULT_SPAN
    start = max(asked, first)
    return start, max(start, end)
