"""Cursors: where the next page of a list begins, opaque to the caller."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

from cutlass.domain.errors import CutlassError, InvalidRequestError, NotFoundError

_FORM = re.compile(r"c1\.[A-Za-z0-9_-]{8,2000}")
_END_OF_TIME_MS = (
    253_402_300_800_000  # the year 10000, in milliseconds since 1970: positions hold no other numbers
)
_HINT = "pass the `next` of the page before as it is, or leave the cursor out to start again"


class NoSuchPageError(NotFoundError):
    """The cursor has the right form, but leads to no page of this list."""

    field = "cursor"


def encode_cursor(scope: str, position: dict[str, Any] | None) -> str | None:
    """Return the cursor of a position; None, the end, for None.

    Parameters
    ----------
    scope : str
        What list it is a place in; a cursor of another list is refused.
    position : dict or None
        A place in the list as the store names it, of what JSON can hold.
    """
    if position is None:
        return None
    payload = json.dumps(position, separators=(",", ":")).encode()
    return "c1." + base64.urlsafe_b64encode(_check(scope, payload) + payload).rstrip(b"=").decode()


def decode_cursor(scope: str, cursor: str | None, shape: Mapping[str, type]) -> dict[str, Any] | None:
    """Return the position a cursor stands for; None where there is no cursor.

    The check sum finds a damaged cursor or one of another list. It is no secret: a position only ever says
    where in the caller's own list to go on, and a made-up one must still have the `shape` of a position.

    Raises
    ------
    InvalidRequestError
        It has not the form of a cursor.
    NoSuchPageError
        It has, but is none of this list.
    """
    if cursor is None:
        return None
    if not _FORM.fullmatch(cursor):
        raise InvalidRequestError("cursor has not the form of a cursor", field="cursor", hint=_HINT)
    lost: CutlassError = NoSuchPageError("the cursor leads to no page of this list", hint=_HINT)
    try:
        encoded = cursor.removeprefix("c1.")
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        position = json.loads(raw[4:])
    except (binascii.Error, ValueError, RecursionError):
        raise lost from None
    if raw[:4] != _check(scope, raw[4:]) or not _fits(position, shape):
        raise lost
    return dict(position)


def _fits(position: object, shape: Mapping[str, type]) -> bool:
    return (
        isinstance(position, dict)
        and position.keys() == shape.keys()
        and all(type(position[name]) is kind for name, kind in shape.items())
        and all(0 <= value < _END_OF_TIME_MS for value in position.values() if isinstance(value, int))
    )


def _check(scope: str, payload: bytes) -> bytes:
    return zlib.crc32(payload, zlib.crc32(scope.encode())).to_bytes(4)
