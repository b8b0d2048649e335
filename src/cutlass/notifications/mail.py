"""Sends mails by SES's templates, one recipient each.

SES accepts a mail whose template lacks a value and drops it later, so a mail is rendered here first.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping

from cutlass.contracts import Email
from cutlass.notifications.render import Mail, TemplateError, render
from cutlass.storage.aws import Aws, ThrottledError, insist

_TRIES, _FIRST_PAUSE = 5, 0.2
_LONGEST_TAG = 256
_PATH = "/v2/email/outbound-emails"


class Mailer:
    """Sends the mails of one region.

    Parameters
    ----------
    emails : Mapping
        The mails of the contract, by name.
    sender : str
        The address they come from.
    resource : callable
        Gives a template's name in SES.
    sleep : callable, optional
        Waits so many seconds, where SES was asked too often.
    """

    def __init__(
        self,
        aws: Aws,
        emails: Mapping[str, Email],
        sender: str,
        resource: Callable[[Email], str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._aws = aws
        self._emails = emails
        self._sender = sender
        self._resource = resource
        self._sleep = sleep

    def check(self, mail: Mail) -> Email:
        """Return the template of a mail that can be filled in; raises `TemplateError` for one that cannot."""
        email = self._emails.get(mail.template)
        if email is None:
            raise TemplateError(f"there is no mail {mail.template!r}", hint="look at contracts/emails/")
        render(email, mail.values)
        return email

    def send(self, address: str, mail: Mail, tags: Mapping[str, str] | None = None) -> str:
        """Hand a mail over to SES and return the id it gave it.

        Parameters
        ----------
        tags : Mapping, optional
            What SES's events about this mail are to say of it.

        Raises
        ------
        TemplateError
            The mail cannot be filled in; nothing was sent.
        RefusedError
            SES refused it.
        UnavailableError
            SES did not answer, and may have sent it; or is asked too often (`ThrottledError`), and has not.
        """
        email = self.check(mail)
        body = {
            "FromEmailAddress": f"Cutlass <{self._sender}>",
            "Destination": {"ToAddresses": [address]},
            "Content": {
                "Template": {"TemplateName": self._resource(email), "TemplateData": json.dumps(dict(mail.values))}
            },
            "EmailTags": [{"Name": name, "Value": value} for name, value in _tags(tags or {}).items()],
        }
        # Where there is no answer it is not asked again: SES may have sent it, and would send it again.
        answer = insist(
            lambda: self._aws.request("POST", _PATH, body),
            ThrottledError,
            tries=_TRIES,
            pause=_FIRST_PAUSE,
            sleep=self._sleep,
        )
        return str(answer["MessageId"])


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    """A tag takes letters, digits, `-` and `_` only; one that would be too long is left out."""
    written = {
        name: base64.urlsafe_b64encode(value.encode()).decode().rstrip("=") for name, value in values.items()
    }
    return written if all(len(value) <= _LONGEST_TAG for value in written.values()) else {}


def read_tag(value: str) -> str:
    """Return what a tag was written from; raises `ValueError` for what is no tag of ours."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode()
