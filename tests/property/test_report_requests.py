"""What is published as a request's schema is what is checked, for whatever is sent."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from cutlass.contracts import load_reports
from cutlass.domain.errors import InvalidRequestError

CATALOGUE = load_reports()
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in CATALOGUE.schemas.items()}
NAMES = st.sampled_from(["user", "feature", "meter", "region", "reason", "units", ""])
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)
)
TIMES = st.sampled_from(
    [
        "2026-11-01",
        "2026-11-01T00:00:00Z",
        "2026-11-01t10:00+05:30",
        "2026-1-1",
        "now",
        "2026-11-01T00:00:00.1234567Z",
    ]
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "from": TIMES,
    "to": TIMES,
    "time_zone": st.sampled_from(["UTC", "Europe/London", "", "../etc", "Etc/GMT+5", "x" * 65]),
    "granularity": st.sampled_from(["hour", "day", "week", "month", "total", "year"]),
    "group_by": st.lists(NAMES, max_size=4),
    "filters": st.dictionaries(
        NAMES, st.lists(st.sampled_from(["ann", "a b", "", "o'x"]), max_size=3), max_size=3
    ),
    "format": st.sampled_from(["json", "pdf", "docx"]),
}


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Bodies that are nearly right: most of the fields, now and then one that is something else."""
    body: dict[str, Any] = {"type": draw(st.sampled_from(list(CATALOGUE.types)))}
    left_out = draw(st.sets(st.sampled_from(list(FIELDS)), max_size=5))
    odd = draw(st.none() | st.sampled_from([*FIELDS, "more"]))
    for name, values in FIELDS.items():
        if name not in left_out:
            body[name] = draw(values)
    if odd is not None:
        body[odd] = draw(ANYTHING)
    return body


@given(body=bodies())
def test_the_schema_and_the_rules_take_the_same_bodies(body: dict[str, Any]) -> None:
    refused: InvalidRequestError | None = None
    try:
        CATALOGUE.check(body)
    except InvalidRequestError as wrong:
        refused = wrong
    assert VALIDATORS[body["type"]].is_valid(body) == (refused is None), refused
    assert refused is None or refused.field
