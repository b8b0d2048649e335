"""What a mail says: which template an alert is told by, and the values it is filled with.

SES puts values into HTML as they are, and into the text as well, so none may mean anything in HTML: the characters
that would are replaced by others that look alike (`neutral`). Whatever SES would refuse, or drop without a word, a
value that is missing or a template that is none, is refused here first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cutlass.contracts import Email
from cutlass.domain.alerts import Alert, AlertKind
from cutlass.domain.errors import CutlassError

DIGEST = "alerts-digest"

TEMPLATES: Mapping[AlertKind, str] = {
    AlertKind.CROSSED: "threshold-crossed",
    AlertKind.RESOLVED: "threshold-resolved",
    AlertKind.BALANCE_LOW: "balance-low",
    AlertKind.BALANCE_RESTORED: "balance-restored",
    AlertKind.TEST: "alert-test",
}
"""The mail of `contracts/emails/` that tells each kind of alert."""

_PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
_LOOK_ALIKE = str.maketrans({"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_NO_LIMIT = "none"


class TemplateError(CutlassError):
    """A mail cannot be filled in; no other mail is touched by that."""

    code = "template-error"


@dataclass(frozen=True, slots=True)
class Mail:
    """A template of `contracts/emails/` and the values it is filled with."""

    template: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as its reader gets it."""

    subject: str
    html: str
    text: str


def mail_of(alert: Alert) -> Mail:
    """Return the mail that tells of an alert."""
    values = {"organisation": alert.org_id}
    match alert.kind:
        case AlertKind.TEST:
            values["at"] = moment(alert.at)
        case AlertKind.BALANCE_LOW | AlertKind.BALANCE_RESTORED:
            values |= {"meter": alert.meter, "balance": units(alert.current_value), "mark": _mark(alert.threshold)}
        case _:
            values |= {
                "scope": scope(alert.scope),
                "meter": alert.meter,
                "threshold": threshold(alert.threshold),
                "used": units(alert.current_value),
                "limit": _NO_LIMIT if alert.limit is None else units(alert.limit),
            }
    if alert.kind is AlertKind.CROSSED:
        left = None if alert.limit is None else max(alert.limit - alert.current_value, 0)
        values |= {"remaining": _NO_LIMIT if left is None else units(left), "period": period(alert.period)}
    return Mail(TEMPLATES[alert.kind], {name: neutral(value) for name, value in values.items()})


def digest_of(org_id: str, alerts: Iterable[Alert]) -> Mail:
    """Return the mail that tells of several alerts of an organisation, the oldest first."""
    lines = [f"{moment(alert.at)}: {sentence(alert)}" for alert in sorted(alerts, key=lambda alert: alert.at)]
    values = {"organisation": neutral(org_id), "count": units(len(lines))}
    return Mail(DIGEST, values | {"lines": "\n".join(neutral(line) for line in lines)})


def sentence(alert: Alert) -> str:
    """Return an alert in a few words."""
    share = "" if alert.limit is None else f" of {units(alert.limit)}"
    match alert.kind:
        case AlertKind.TEST:
            return "a test of the alerts"
        case AlertKind.BALANCE_LOW:
            return f"{units(alert.current_value)} {alert.meter} of credit left, below {_mark(alert.threshold)}"
        case AlertKind.BALANCE_RESTORED:
            return (
                f"{units(alert.current_value)} {alert.meter} of credit again, not below {_mark(alert.threshold)}"
            )
        case AlertKind.RESOLVED:
            under = f"is under {threshold(alert.threshold)} of {alert.meter} again"
            return f"{scope(alert.scope)} {under} ({units(alert.current_value)}{share})"
    used = f"has used {threshold(alert.threshold)} of {alert.meter}"
    return f"{scope(alert.scope)} {used} ({units(alert.current_value)}{share})"


def render(email: Email, values: Mapping[str, str]) -> Rendered:
    """Fill a mail in, as SES does.

    Raises
    ------
    TemplateError
        A value is missing or empty, or one is given that the mail does not know.
    """
    missing = sorted(name for name in email.variables if not values.get(name))
    unknown = sorted(values.keys() - email.variables.keys())
    if missing or unknown:
        what = [f"has no value for {', '.join(missing)}"] * bool(missing)
        what += [f"knows no {', '.join(unknown)}"] * bool(unknown)
        raise TemplateError(f"the mail {email.name} {' and '.join(what)}", hint="look at contracts/emails/")
    parts = (email.subject, email.html, email.text)
    return Rendered(*(_PLACEHOLDER.sub(lambda found: values[found[1]], part) for part in parts))


def examples(email: Email) -> dict[str, str]:
    """Return the values the contract gives as examples."""
    return {name: variable.example for name, variable in email.variables.items()}


def neutral(value: str) -> str:
    """Return a value on one line that means nothing in HTML, nor in a header field, and reads the same."""
    return _CONTROL.sub(" ", value).translate(_LOOK_ALIKE)


def units(value: int) -> str:
    """Return a number as people read it."""
    return f"{value:,}"


def moment(at: datetime) -> str:
    """Return a time as people read it, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def period(key: str) -> str:
    """Return when a period began, from its key."""
    try:
        return moment(datetime.strptime(key, "%Y%m%dT%H%M").replace(tzinfo=UTC))
    except ValueError:
        return key


def scope(name: str) -> str:
    """Return whose limit it is, of `org:ORG` or `user:USER`."""
    kind, _, who = name.partition(":")
    return f"{'organisation' if kind == 'org' else kind} {who}"


def threshold(name: str) -> str:
    """Return a threshold's name as people read it: a share as it is, a number with what it counts."""
    return f"{int(name):,} units" if name.isdecimal() else name


def _mark(name: str) -> str:
    mark = name.rpartition("<")[2]
    return units(int(mark)) if mark.isdecimal() else name
