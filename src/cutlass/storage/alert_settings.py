"""What organisations want to be told of: kept at their home, with the plan's thresholds where nothing was set."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from cutlass.domain.alerts import AlertSettings, Webhook
from cutlass.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from cutlass.domain.organisations import Organisation
from cutlass.storage import keys
from cutlass.storage.alert_dues import due_write
from cutlass.storage.alert_items import settings_from_item, settings_to_item
from cutlass.storage.alert_table import AlertTable
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import TransactionFailedError, expression, put_of, update_of

OVERLAP = timedelta(days=1)
"""How long calls are signed with the secret before, too, after a new one was made."""

_RACES = 10


@dataclass(frozen=True, slots=True)
class SettingsView:
    """Settings as they are; `defaults` if they are the plan's, `secret` the webhook's if it was made just now."""

    settings: AlertSettings
    defaults: bool = False
    secret: str | None = None


class AlertSettingsStore:
    """The settings of all organisations, as one region reads them and every home writes them."""

    def __init__(self, table: AlertTable) -> None:
        self._dynamo, self._directory = table.dynamo, table.directory
        self._table, self._catalogue, self._clock = table.name, table.catalogue, table.clock

    def get(self, org_id: str) -> SettingsView:
        """Read an organisation's settings as this region knows them; raises `NotFoundError`."""
        organisation = self._directory.get(org_id)
        item = self._dynamo.get(self._table, *keys.alert_settings(organisation.home_region, org_id))
        return SettingsView(self._of(organisation, item), item is None)

    def many(self, organisations: Iterable[Organisation]) -> dict[str, AlertSettings]:
        """Read the settings of several organisations together."""
        wanted = {keys.alert_settings(org.home_region, org.org_id): org for org in organisations}
        items = self._dynamo.batch_get({self._table: list(wanted)}) if wanted else {}
        return {org.org_id: self._of(org, items.get((self._table, *key))) for key, org in wanted.items()}

    def put(self, org_id: str, wanted: AlertSettings, *, webhook_url: str | None) -> SettingsView:
        """Replace an organisation's settings; doing so again changes nothing.

        A webhook that is new, or has another address, gets a secret, which is in the answer this once.

        Raises
        ------
        NotFoundError
            There is no such organisation.
        InvalidRequestError
            A threshold or the list of meters names a meter that the plan does not have.
        UnavailableError
            The organisation's home region does not answer.
        """
        organisation = self._directory.get(org_id)
        self._check_meters(organisation, wanted)

        def replaced(known: AlertSettings | None) -> tuple[AlertSettings, str | None]:
            if webhook_url is None:
                return wanted, None
            if known and known.webhook and known.webhook.url == webhook_url:
                return replace(wanted, webhook=known.webhook), None
            secret = new_secret()
            return replace(wanted, webhook=Webhook(webhook_url, secret)), secret

        return self._change(organisation, replaced)

    def rotate(self, org_id: str) -> SettingsView:
        """Give an organisation's webhook a new secret; the one before signs too for a day.

        Raises `NotFoundError` where there is no webhook, and what `put` raises.
        """
        organisation = self._directory.get(org_id)

        def rotated(known: AlertSettings | None) -> tuple[AlertSettings, str | None]:
            if known is None or known.webhook is None:
                raise NotFoundError(
                    f"organisation {org_id!r} has no webhook", hint="set one with its alerts first"
                )
            secret = new_secret()
            webhook = Webhook(known.webhook.url, secret, known.webhook.secret, self._clock() + OVERLAP)
            return replace(known, webhook=webhook), secret

        return self._change(organisation, rotated)

    def _change(
        self,
        organisation: Organisation,
        change: Callable[[AlertSettings | None], tuple[AlertSettings, str | None]],
    ) -> SettingsView:
        """Change what is there, at home, together with the look that this makes due."""
        home = organisation.home_region
        there = self._directory.at_home(home)
        key = keys.alert_settings(home, organisation.org_id)
        for _ in range(_RACES):
            item = there.get(self._table, *key)
            known = settings_from_item(item) if item else None
            wanted, secret = change(known)
            if wanted == known:
                return SettingsView(wanted)
            revision = item["rev"] + 1 if item else 1
            new = settings_to_item(wanted, home, organisation.org_id, revision)
            due = due_write(self._table, home, organisation.org_id, self._clock(), f"settings{revision}")
            try:
                there.transact([self._replaced(new, revision - 1), due])
            except TransactionFailedError:
                continue
            return SettingsView(wanted, secret=secret)
        raise UnavailableError("the alerts are being changed by others", hint="send the request again")

    def _replaced(self, item: Item, seen: int) -> Item:
        if not seen:
            return put_of(self._table, item)
        gone = [name for name in ("meters", "webhook", "quiet") if item[name] is None]
        sets = {name: v for name, v in item.items() if name not in {"pk", "sk"} and v is not None}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
        if gone:
            update += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        return update_of(
            self._table, item["pk"], item["sk"], expression(update, "#rev = :seen", **sets, seen=seen)
        )

    def _of(self, organisation: Organisation, item: Item | None) -> AlertSettings:
        if item is not None:
            return settings_from_item(item)
        plan = organisation.plan_at(self._catalogue, self._clock())
        return AlertSettings(plan.alerts, None, {})

    def _check_meters(self, organisation: Organisation, wanted: AlertSettings) -> None:
        plan = organisation.plan_at(self._catalogue, self._clock())
        named = [(f"thresholds.{place}.meter", t.meter) for place, t in enumerate(wanted.thresholds) if t.meter]
        named += [(f"meters.{place}", meter) for place, meter in enumerate(wanted.meters or ())]
        for field, meter in named:
            if meter not in plan.meters:
                names = ", ".join(plan.meters)
                raise InvalidRequestError(
                    f"{field} is {meter!r}, which the plan {plan.name} does not have; it has {names}", field=field
                )


def new_secret() -> str:
    """Make a webhook's secret: 256 random bits."""
    return f"whsec_{secrets.token_urlsafe(32)}"
