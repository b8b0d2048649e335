"""The keys of every item. A partition key begins with the region that owns the item: it alone writes it.

`#` separates the parts, because no id may contain one. IAM's `dynamodb:LeadingKeys` enforces the first part.
"""

import hashlib

from cutlass.domain.periods import from_millis
from cutlass.domain.stripes import striped, unstriped

LIMITS, ORGANISATIONS, LEDGER, USAGE = "usage-credits", "organisations", "ledger", "usage"
ALERTS, REPORTS = "alerts", "reports"
"""The tables of `contracts/tables.yaml`."""

LEDGER_SHARDS = 4
"""Partitions of one organisation's ledger per day and region, so that a busy one is not one partition's."""

DEADLINE_SHARDS = 8
"""Partitions of a region's deadlines: each takes some hundred reservations a second."""

HELD_SHARDS = 4
"""Partitions of what a region holds back until quiet hours or a digest's time are over."""

Key = tuple[str, str]
"""A partition key and a sort key."""


def organisation(home: str, org_id: str) -> Key:
    """An organisation, in its home region."""
    return f"{home}#{org_id}", "org"


def user(home: str, org_id: str, user_id: str) -> Key:
    """A user, beside its organisation."""
    return f"{home}#{org_id}", f"user#{user_id}"


def grants(home: str, org_id: str) -> str:
    """The partition of an organisation's grants; a grant's sort key is its id."""
    return f"{home}#{org_id}#grants"


def void(grant_id: str) -> str:
    """The sort key of the record that voids a grant, right behind the grant's."""
    return f"{grant_id}#void"


def pools(region: str, org_id: str, meter: str, user_id: str | None = None) -> str:
    """The partition of a region's pools of one meter: the organisation's, or those of one user's own grants."""
    return f"{region}#{org_id}#{meter}#pools" + (f"#{user_id}" if user_id else "")


def allotments(region: str, org_id: str, user_id: str) -> str:
    """The partition of one user's allotments in one region."""
    return f"{region}#{org_id}#{user_id}#allotments"


def allotment(region: str, org_id: str, user_id: str, meter: str, period: str, stripe: int = 0) -> Key:
    """One allotment, or a stripe of it."""
    return allotments(region, org_id, user_id), f"{meter}#{striped(period, stripe)}"


def roster(region: str, org_id: str, meter: str, period: str) -> str:
    """The partition that lists the allotments born in a region and period, each by its user and stripe."""
    return f"{region}#{org_id}#{meter}#{period}#roster"


def reservation(region: str, name: str) -> Key:
    """One reservation."""
    return f"{region}#reservation#{name}", "reservation"


def deadlines(region: str, shard: int) -> str:
    """One shard of the deadlines of the reservations a region holds, in order of time."""
    return f"{region}#deadlines#{shard}"


def deadline(region: str, name: str, at_ms: int) -> Key:
    """Where a held reservation is found when its deadline has passed."""
    return deadlines(region, int(name[:2], 16) % DEADLINE_SHARDS), f"{at_ms:013d}#{name}"


def rostered(region: str, org_id: str, name: str, meter: str, period: str) -> Key:
    """The allotment that a line of a roster names."""
    user_id, stripe = unstriped(name)
    return allotment(region, org_id, user_id, meter, period, stripe)


def ledger(region: str, org_id: str, day: str, shard: int) -> str:
    """One shard of a day of an organisation's ledger in one region."""
    return f"{region}#{org_id}#{day}#{shard}"


def segment(region: str, org_id: str, user_id: str, meter: str, start_ms: int) -> Key:
    """The ledger segment of one user's decisions around one time."""
    start = from_millis(start_ms)
    shard = hashlib.blake2b(user_id.encode(), digest_size=2).digest()[0] % LEDGER_SHARDS
    return ledger(region, org_id, f"{start:%Y%m%d}", shard), f"{start:%H%M%S}#{user_id}#{meter}"


def ledger_record(region: str, org_id: str, at_ms: int, kind: str, entry_id: str) -> Key:
    """A ledger entry that is no decision; it stands in the day's first shard."""
    at = from_millis(at_ms)
    return ledger(region, org_id, f"{at:%Y%m%d}", 0), f"{at:%H%M%S}#{kind}#{entry_id}"


def request_index(region: str, org_id: str, user_id: str, meter: str, request_id: str) -> Key:
    """Where the decision on a request is found whose id carries no time near the decision's."""
    return f"{region}#{org_id}#{user_id}#requests", f"{meter}#{request_id}"


def refunds(region: str, org_id: str, user_id: str, meter: str, request_id: str) -> Key:
    """The account of what was refunded of one charge, beside the charge's allotment."""
    return f"{region}#{org_id}#{user_id}#refunds", f"{meter}#{request_id}"


def user_rollup(region: str, org_id: str, day: str, user_id: str, meter: str, period: str) -> Key:
    """One user's usage of one day, from one allotment: the period has the stripe behind it."""
    return f"{region}#{org_id}#{day}", f"{user_id}#{meter}#{period}"


def org_rollup(region: str, org_id: str, meter: str, day: str, period: str) -> Key:
    """An organisation's usage of one day and period."""
    return f"{region}#{org_id}", f"{meter}#{day}#{unstriped(period)[0]}"


def reports(region: str, org_id: str) -> str:
    """The partition of the reports one organisation asked a region for, each by its name: in order of time."""
    return f"{region}#{org_id}#reports"


def report_request(region: str, org_id: str, request_id: str) -> Key:
    """Which report a request made."""
    return f"{region}#{org_id}#report-requests", request_id


def same_report(region: str, org_id: str, digest: str) -> Key:
    """Which report answers identical requests."""
    return f"{region}#{org_id}#same-reports", digest


def open_reports(region: str) -> str:
    """The partition of what a region's reports still need: to be made, or to be charged."""
    return f"{region}#open-reports"


def open_report(region: str, org_id: str, name: str) -> Key:
    """Where a report is found that still needs something; older ones come first."""
    return open_reports(region), f"{name}#{org_id}"


def schedules(region: str, org_id: str) -> str:
    """The partition of an organisation's schedules in one region, each by its id."""
    return f"{region}#{org_id}#schedules"


def due_schedules(region: str) -> str:
    """The partition of the next runs of a region's schedules, in order of time."""
    return f"{region}#due-schedules"


def due_schedule(region: str, org_id: str, schedule_id: str, due_ms: int) -> Key:
    """The next run of one schedule."""
    return due_schedules(region), f"{due_ms:013d}#{org_id}#{schedule_id}"


def heartbeat(region: str) -> Key:
    """How far a region's figures have come."""
    return f"{region}#heartbeat", "heartbeat"


def deliveries(region: str, org_id: str, alert_id: str) -> str:
    """The partition of one alert's entries in the delivery log."""
    return f"{region}#{org_id}#deliveries#{alert_id}"


def delivery(region: str, org_id: str, alert_id: str, channel: str, address: str = "") -> Key:
    """One entry of the delivery log: of a webhook there is one per alert, of mail one per address."""
    return deliveries(region, org_id, alert_id), f"{channel}#{address}" if address else channel


def held(region: str, shard: int) -> str:
    """One shard of the deliveries a region holds back, in order of the time they are due."""
    return f"{region}#held#{shard}"


def held_delivery(region: str, due_ms: int, org_id: str, alert_id: str, address: str) -> Key:
    """Where a delivery that is held back is found when it is due; all to one address are in one shard."""
    shard = hashlib.blake2b(address.encode(), digest_size=1).digest()[0] % HELD_SHARDS
    return held(region, shard), f"{due_ms:013d}#{org_id}#{address}#{alert_id}"


def suppression(region: str, address: str) -> Key:
    """A mail address that is not written to any more, as a region was told."""
    return f"{region}#suppressed#{address}", "suppressed"


def consumer_failure(region: str, queue: str, message_id: str) -> Key:
    """Why a queue's message failed last."""
    return f"{region}#failures#{queue}", message_id


def alerts(region: str, org_id: str) -> str:
    """The partition of an organisation's alerts and, at its home, of its settings for them."""
    return f"{region}#{org_id}#alerts"


def alert_settings(home: str, org_id: str) -> Key:
    """What an organisation wants to be told of."""
    return alerts(home, org_id), "settings"


def alert(region: str, org_id: str, alert_id: str) -> Key:
    """One alert; ids sort by time."""
    return alerts(region, org_id), f"alert#{alert_id}"


def watch(region: str, org_id: str, scope: str, meter: str, period: str | None) -> Key:
    """What a region told of one scope and meter, in one period; without one, of the credits."""
    return f"{region}#{org_id}#{scope}#watch", f"{meter}#{period or 'credit'}"


def due(region: str) -> str:
    """The partition of what a region has to look at for alerts although no usage asks for it, in order of time."""
    return f"{region}#due"


def due_look(region: str, at_ms: int, org_id: str, user_id: str | None, cause: str) -> Key:
    """One such look; `cause` tells apart those of one moment."""
    return due(region), f"{at_ms:013d}#{org_id}#{'*' if user_id is None else user_id}#{cause}"


def watched(region: str, of: str) -> Key:
    """Up to which epoch of a region another one, or it itself, has looked at all that is at home there."""
    return f"{region}#watched", of


def parse_rollup(pk: str, sk: str) -> tuple[str, str, str | None, str, str] | None:
    """Read region, organisation, user or None, meter, and period with stripe off the key of a day of usage."""
    where, what = pk.split("#"), sk.split("#", 2)
    if len(what) < 3:
        return None
    if len(where) == 2:
        return where[0], where[1], None, what[0], what[2]
    return (where[0], where[1], what[0], what[1], what[2]) if len(where) == 3 else None


def parse_pool(pk: str) -> tuple[str, str, str] | None:
    """Read region, organisation and meter off a pool's partition key; None for any other item."""
    parts = pk.split("#")
    if len(parts) not in (4, 5) or parts[3] != "pools":
        return None
    return parts[0], parts[1], parts[2]


def parse_reservation(pk: str, sk: str) -> str | None:
    """Read the region off a reservation's key; None for any other item."""
    parts = pk.split("#")
    return parts[0] if len(parts) == 3 and sk == "reservation" else None


def region_state(region: str, of: str | None = None) -> Key:
    """What a region knows to be decided of itself or, as a survivor, `of` another one."""
    return f"{region}#region", "state" if of in {None, region} else f"fence#{of}"


def issuer(region: str) -> Key:
    """The user pool of a region, in the table of organisations."""
    return f"{region}#issuer", "issuer"


def claims(survivor: str, origin: str) -> str:
    """The partition of what a survivor claimed of a fenced region; it is read whole before that one serves."""
    return f"{survivor}#claims>{origin}"


def claim(survivor: str, origin: str, org_id: str, item: str, epoch: int) -> Key:
    """One claim; `item` names the pool or the user's allotment within the organisation."""
    return claims(survivor, origin), f"{org_id}#{item}#{epoch}"


def parse_allotment(pk: str, sk: str) -> tuple[str, str, str, str, str] | None:
    """Read region, organisation, user, meter, and period with stripe off an allotment's key, if it is one."""
    parts = pk.split("#")
    if len(parts) != 4 or parts[3] != "allotments":
        return None
    meter, _, period = sk.partition("#")
    return parts[0], parts[1], parts[2], meter, period
