"""Request bodies: size, media type, and JSON without the places where parsers disagree."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from cutlass.api.errors import UnsupportedMediaTypeError
from cutlass.domain.errors import InvalidRequestError, PayloadTooLargeError

MAX_BODY_BYTES = 64 * 1024
"""The largest body the interface takes, in bytes as sent (before base64)."""

_SHOWN = 80


def json_body(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object in the body of an API Gateway event.

    Refuses what JSON leaves open and parsers read differently: a name given twice, NaN and infinities.

    Raises
    ------
    PayloadTooLargeError
        More than 64 KB.
    UnsupportedMediaTypeError
        The request says that the body is not JSON in UTF-8.
    InvalidRequestError
        There is no body, or it is not one JSON object.
    """
    raw = _bytes(event)
    if len(raw) > MAX_BODY_BYTES:
        raise PayloadTooLargeError(f"the body has {len(raw)} bytes; at most {MAX_BODY_BYTES} are taken")
    _require_json(event)
    if not raw.strip():
        raise InvalidRequestError("the body is empty; it must be a JSON object", field="body")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except InvalidRequestError:
        raise
    except RecursionError:
        raise InvalidRequestError("the body is nested too deeply", field="body") from None
    except UnicodeDecodeError:
        raise InvalidRequestError("the body is not UTF-8", field="body") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequestError(f"the body is not JSON: {error.msg} at {where}", field="body") from None
    except ValueError:
        # Python refuses to parse numbers of thousands of digits.
        raise InvalidRequestError("the body holds a number too long to be read", field="body") from None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"the body must be a JSON object, not {kind_of(value)}", field="body")
    return value


def no_body(event: Mapping[str, Any]) -> None:
    """Take no more than an empty body, or an empty JSON object, where the route has none; raises as above."""
    raw = _bytes(event)
    if len(raw) > MAX_BODY_BYTES:
        raise PayloadTooLargeError(f"the body has {len(raw)} bytes; this route takes none")
    if raw.strip() not in {b"", b"{}"}:
        raise InvalidRequestError("this route takes no body", field="body")


def header(event: Mapping[str, Any], name: str) -> str | None:
    """Return a header field of an API Gateway event, whatever its case; None where it is not there.

    Raises
    ------
    InvalidRequestError
        It is there more than once, with different values.
    """
    wanted = name.lower()
    values = {
        value
        for key, several in (event.get("multiValueHeaders") or {}).items()
        if key.lower() == wanted
        for value in several
    }
    if not values:
        values = {value for key, value in (event.get("headers") or {}).items() if key.lower() == wanted}
    if len(values) > 1:
        raise InvalidRequestError(f"{name} is given more than once", field=name)
    return next(iter(values), None)


def kind_of(value: object) -> str:
    """Say what a JSON value is, for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {int: "a number", float: "a fraction", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")


def shown(text: str) -> str:
    """Return a caller's text as it can be repeated in a message: printable and short."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return "".join(character if character.isprintable() else "�" for character in cut) or '""'


def _bytes(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("the body is not base64, as the gateway says it is", field="body") from None


def _require_json(event: Mapping[str, Any]) -> None:
    content_type = header(event, "Content-Type")
    if content_type is None:
        return
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    if media_type != "application/json" or any(charset not in {"utf-8", "utf8"} for charset in charsets):
        raise UnsupportedMediaTypeError(
            f"the body is {shown(content_type)}", hint="send JSON in UTF-8, with Content-Type: application/json"
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequestError(f"{shown(twice)} is given twice", field=shown(twice))
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidRequestError(f"{name} is not JSON", field="body")
