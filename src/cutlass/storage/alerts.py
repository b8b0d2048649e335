"""Alerts as they are read, one or an organisation's history; and the one that only tests the way to recipients."""

from collections.abc import Iterator
from heapq import merge
from itertools import groupby, islice
from typing import Any

from cutlass.domain.alerts import Alert, AlertKind, AlertSettings, org_scope
from cutlass.domain.errors import NotFoundError
from cutlass.domain.ids import new_request_id
from cutlass.domain.periods import to_millis
from cutlass.domain.thresholds import Subject, alert_id
from cutlass.storage import keys
from cutlass.storage.alert_items import alert_from_item, alert_to_item
from cutlass.storage.alert_settings import AlertSettingsStore
from cutlass.storage.alert_table import AlertTable
from cutlass.storage.paging import Page

_NEWEST = "alert#~"
"""Behind every alert's sort key, and before the settings'."""


class Alerts:
    """The alerts of all organisations, whichever region recorded them, as one region knows them."""

    def __init__(self, table: AlertTable, settings: AlertSettingsStore) -> None:
        self._settings = settings
        self._dynamo, self._directory, self._homes = table.dynamo, table.directory, table.homes
        self._table, self._catalogue, self._clock = table.name, table.catalogue, table.clock

    def settings(self, org_id: str) -> AlertSettings:
        """What an organisation wants to be told, of its own or by its plan; raises `NotFoundError`."""
        return self._settings.get(org_id).settings

    def alert(self, org_id: str, alert_id: str) -> Alert:
        """Read one alert, as this region recorded it or, failing that, another; raises `NotFoundError`."""
        here = self._directory.region
        others = [name for name in self._directory.topology.regions if name != here]
        wanted = [keys.alert(name, org_id, alert_id) for name in (here, *others)]
        found = self._dynamo.batch_get({self._table: wanted})
        for key in wanted:
            if item := found.get((self._table, *key)):
                return alert_from_item(item)
        raise NotFoundError(f"organisation {org_id!r} has no alert {alert_id!r}")

    def history(self, org_id: str, *, limit: int = 50, after: dict[str, Any] | None = None) -> Page[Alert]:
        """Read an organisation's alerts, the newest first; raises `NotFoundError` for an unknown one."""
        self._directory.get(org_id)
        before = f"alert#{after['alert']}" if after else _NEWEST
        rows = [self._newest(name, org_id, before, limit) for name in self._directory.topology.regions]
        newest = merge(*rows, key=lambda alert: alert.alert_id, reverse=True)
        # What a region that took over told again has the id it had.
        once = (next(same) for _, same in groupby(newest, key=lambda alert: alert.alert_id))
        found = list(islice(once, limit + 1))
        return Page(found) if len(found) <= limit else Page(found[:limit], {"alert": found[limit - 1].alert_id})

    def _newest(self, region: str, org_id: str, before: str, limit: int) -> Iterator[Alert]:
        items = self._dynamo.query(
            self._table,
            keys.alerts(region, org_id),
            between=("alert#", before),
            backwards=True,
            limit=limit + 2,
        )
        return (alert_from_item(item) for item in items if item["sk"] != before)

    def test(self, org_id: str) -> Alert:
        """Record an alert that nothing crossed, told as any other.

        Raises
        ------
        NotFoundError
            There is no such organisation.
        UnavailableError
            The region that watches it does not answer.
        """
        organisation = self._directory.get(org_id)
        now = self._clock()
        meter = next(iter(organisation.plan_at(self._catalogue, now).meters), "")
        period = organisation.period_at(self._catalogue, now).key
        subject = Subject(org_id, org_scope(org_id), meter, period)
        at_ms = to_millis(now)
        name = alert_id(subject, new_request_id(at_ms), AlertKind.TEST, 1, at_ms)
        alert = Alert(name, org_id, subject.scope, meter, AlertKind.TEST, "test", period, 0, 0, None, now)
        region = self._homes.of(organisation.home_region)
        self._directory.at_home(region).put_if_absent(self._table, alert_to_item(alert, region))
        return alert
