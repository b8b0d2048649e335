"""Errors keep what a caller of the API needs."""

import pytest

from cutlass.domain import errors
from cutlass.domain.errors import CutlassError, InvalidRequestError, UnavailableError

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CutlassError)]


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_has_message_hint_code_and_status(kind: type[CutlassError]) -> None:
    error = kind("wrong", hint="do right")
    assert (str(error), error.message, error.hint) == ("wrong", "wrong", "do right")
    assert error.code == error.code.lower()
    assert 400 <= error.status < 600


def test_codes_tell_errors_apart() -> None:
    assert len({kind.code for kind in EVERY}) == len(EVERY)


def test_an_invalid_request_names_the_field_and_an_outage_when_to_retry() -> None:
    assert InvalidRequestError("wrong", field="units").field == "units"
    assert UnavailableError("later", retry_after=7).retry_after == 7
