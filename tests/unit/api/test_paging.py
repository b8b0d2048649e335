import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.domain.errors import InvalidRequestError, NotFoundError

SHAPE = {"at": int, "id": str}
POSITION = {"at": 1_790_000_000_000, "id": "requests:x"}


def forged(payload: bytes, scope: str = "ledger:org456") -> str:
    check = zlib.crc32(payload, zlib.crc32(scope.encode())).to_bytes(4)
    return "c1." + base64.urlsafe_b64encode(check + payload).rstrip(b"=").decode()


@given(st.fixed_dictionaries({"at": st.integers(0, 10**13), "id": st.text(max_size=128)}))
def test_a_cursor_leads_back_to_its_position(position: dict):
    cursor = encode_cursor("ledger:org456", position)
    assert decode_cursor("ledger:org456", cursor, SHAPE) == position


def test_no_cursor_is_the_beginning_and_no_position_the_end():
    assert decode_cursor("ledger:org456", None, SHAPE) is None
    assert encode_cursor("ledger:org456", None) is None


@pytest.mark.parametrize(
    "cursor", ["", "garbage", "c1.", "c1.abc", "c2.abcdefgh", "c1.abcd/fgh", "c1." + "a" * 3000]
)
def test_what_has_not_the_form_is_invalid(cursor: str):
    with pytest.raises(InvalidRequestError) as caught:
        decode_cursor("ledger:org456", cursor, SHAPE)
    assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    "payload",
    [
        b"not JSON",
        b"[]",
        b"{}",
        b'{"at":1}',
        b'{"at":"1","id":"x"}',
        b'{"at":true,"id":"x"}',
        b'{"at":-1,"id":"x"}',
        b'{"at":1000000000000000000000,"id":"x"}',
        b'{"at":1,"id":"x","more":1}',
        b"\xff\xff\xff",
        b'{"at":' + b"[" * 1400,
    ],
)
def test_a_made_up_position_leads_nowhere(payload: bytes):
    with pytest.raises(NotFoundError) as caught:
        decode_cursor("ledger:org456", forged(payload), SHAPE)
    assert caught.value.field == "cursor"  # type: ignore[attr-defined]


def test_a_cursor_of_another_list_leads_nowhere():
    cursor = encode_cursor("ledger:org456", POSITION)
    with pytest.raises(NotFoundError):
        decode_cursor("ledger:org457", cursor, SHAPE)


@given(st.integers(0, 40), st.sampled_from("ABab01_-"))
def test_a_damaged_cursor_leads_nowhere(index: int, character: str):
    cursor = encode_cursor("ledger:org456", POSITION) or ""
    damaged = cursor[: 3 + index] + character + cursor[4 + index :]
    if damaged != cursor:
        with pytest.raises(NotFoundError):
            decode_cursor("ledger:org456", damaged, SHAPE)
