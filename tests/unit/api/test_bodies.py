import base64

import pytest

from cutlass.api.bodies import MAX_BODY_BYTES, header, json_body, no_body
from cutlass.api.errors import UnsupportedMediaTypeError
from cutlass.domain.errors import InvalidRequestError, PayloadTooLargeError


def sent(body: str | bytes | None, content_type: str | None = "application/json") -> dict:
    headers = {} if content_type is None else {"content-type": content_type}
    if isinstance(body, bytes):
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True, "headers": headers}
    return {"body": body, "headers": headers}


def test_an_object_is_read():
    assert json_body(sent('{"a": [1, "é", null]}')) == {"a": [1, "é", None]}
    assert json_body(sent('{"a": "é"}'.encode())) == {"a": "é"}
    assert json_body(sent("{}", None)) == {}
    assert json_body(sent("{}", 'Application/JSON; charset="UTF-8"')) == {}


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "  ",
        "{",
        "[]",
        "null",
        '"text"',
        "7",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1,}',
        '{"a": 1} x',
        '{"a": "\x00"}',
        "[" * 20_000,
        '{"a": ' + "[" * 20_000,
        '{"a": ' + "9" * 5_000 + "}",
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_object_is_refused(body: str | bytes | None):
    with pytest.raises(InvalidRequestError) as caught:
        json_body(sent(body))
    assert caught.value.field == "body"


def test_a_name_given_twice_is_refused_by_name():
    with pytest.raises(InvalidRequestError, match="twice") as caught:
        json_body(sent('{"org_id": "a", "org_id": "b"}'))
    assert caught.value.field == "org_id"


def test_a_broken_base64_body_is_refused():
    with pytest.raises(InvalidRequestError, match="base64"):
        json_body({"body": "%%%", "isBase64Encoded": True})


def test_size_is_counted_in_bytes():
    fits = '{"a": "' + "x" * (MAX_BODY_BYTES - 9) + '"}'
    assert len(fits) == MAX_BODY_BYTES
    json_body(sent(fits))
    with pytest.raises(PayloadTooLargeError):
        json_body(sent(fits + " "))
    with pytest.raises(PayloadTooLargeError):
        json_body(sent('{"a": "' + "é" * (MAX_BODY_BYTES // 2) + '"}'))
    with pytest.raises(PayloadTooLargeError):
        json_body(sent(fits.encode() + b" "))


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "json", ""],
)
def test_another_media_type_is_refused(content_type: str):
    with pytest.raises(UnsupportedMediaTypeError):
        json_body(sent("{}", content_type))


def test_a_route_without_a_body_takes_none():
    no_body({"body": None})
    no_body(sent("{}"))
    with pytest.raises(InvalidRequestError):
        no_body(sent('{"a": 1}'))
    with pytest.raises(PayloadTooLargeError):
        no_body(sent(" " * (MAX_BODY_BYTES + 1)))


def test_a_header_is_found_in_any_case_and_refused_twice():
    assert header({"headers": {"X-A": "1"}}, "x-a") == "1"
    assert header({"headers": None, "multiValueHeaders": None}, "x-a") is None
    assert header({"multiValueHeaders": {"x-a": ["1", "1"]}}, "X-A") == "1"
    with pytest.raises(InvalidRequestError):
        header({"multiValueHeaders": {"x-a": ["1", "2"]}}, "X-A")
