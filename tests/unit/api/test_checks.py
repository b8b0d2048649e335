import pytest

from cutlass.api.checks import MAX_BATCH, read_batch, read_check
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import InvalidRequestError

BASE = {"org_id": "org456", "user_id": "test123"}


def test_defaults():
    assert read_check(BASE) == DecisionRequest("org456", "test123", "default", None, None)


def test_everything_given():
    body = {**BASE, "feature": "data.query", "units": 0, "request_id": "r:1@x._-"}
    assert read_check(body) == DecisionRequest("org456", "test123", "data.query", 0, "r:1@x._-")


def test_bounds():
    assert read_check({**BASE, "units": 10**12}).units == 10**12
    assert read_check({**BASE, "user_id": "a" * 128}).user_id == "a" * 128


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"unit": 1}, "unit"),
        ({"units": -1}, "units"),
        ({"units": 10**12 + 1}, "units"),
        ({"units": 10**4000}, "units"),
        ({"units": 1.0}, "units"),
        ({"units": 1e400}, "units"),
        ({"units": True}, "units"),
        ({"units": "1"}, "units"),
        ({"units": None}, "units"),
        ({"org_id": ""}, "org_id"),
        ({"org_id": "a" * 129}, "org_id"),
        ({"org_id": "a\n"}, "org_id"),
        ({"org_id": "a\x00"}, "org_id"),
        ({"org_id": "a b"}, "org_id"),
        ({"org_id": "a#b"}, "org_id"),
        ({"org_id": "é"}, "org_id"),
        ({"org_id": "\ud800"}, "org_id"),
        ({"org_id": "٣"}, "org_id"),
        ({"org_id": 7}, "org_id"),
        ({"org_id": None}, "org_id"),
        ({"user_id": ["a"]}, "user_id"),
        ({"user_id": "~0"}, "user_id"),
        ({"user_id": {"a": 1}}, "user_id"),
        ({"feature": ""}, "feature"),
        ({"feature": None}, "feature"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": 1}, "request_id"),
        ({"request_id": None}, "request_id"),
    ],
)
def test_what_breaks_the_contract_is_refused_by_name(change: dict, field: str):
    with pytest.raises(InvalidRequestError) as caught:
        read_check({**BASE, **change})
    assert caught.value.field == field
    assert field in caught.value.message


@pytest.mark.parametrize("name", ["org_id", "user_id"])
def test_what_is_missing_is_named(name: str):
    with pytest.raises(InvalidRequestError, match="missing") as caught:
        read_check({key: value for key, value in BASE.items() if key != name})
    assert caught.value.field == name


def test_a_strange_name_is_shown_short_and_printable():
    with pytest.raises(InvalidRequestError) as caught:
        read_check({**BASE, "\x1b[31m" + "x" * 500: 1})
    assert len(caught.value.field or "") < 100
    assert (caught.value.field or "").isprintable()


def test_a_batch_is_read_in_order():
    items = [{**BASE, "units": n} for n in range(MAX_BATCH)]
    assert [request.units for request in read_batch({"items": items})] == list(range(MAX_BATCH))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": None}, "items"),
        ({"items": {}}, "items"),
        ({"items": []}, "items"),
        ({"items": [BASE] * (MAX_BATCH + 1)}, "items"),
        ({"items": [BASE], "item": 1}, "item"),
        ({"items": [BASE, 7]}, "items.1"),
        ({"items": [BASE, {**BASE, "units": 0.5}]}, "items.1.units"),
        ({"items": [{"org_id": "a"}]}, "items.0.user_id"),
    ],
)
def test_a_broken_batch_is_refused_by_place(body: dict, field: str):
    with pytest.raises(InvalidRequestError) as caught:
        read_batch(body)
    assert caught.value.field == field
