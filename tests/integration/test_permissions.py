"""The functions ask DynamoDB for what the contract lets them; every test of this folder is held to that."""

import pytest

from cutlass.contracts import load_functions
from cutlass.domain.decisions import DecisionRequest
from tests.support.permissions import ENTRIES, acting, denied
from tests.support.world import World

LIMITS, ORGANISATIONS = "cutlass-tech-usage-credits-dev", "cutlass-tech-organisations-dev"
LONDON, SYDNEY = "eu-west-2", "ap-southeast-2"


def test_every_function_that_has_tables_is_watched() -> None:
    with_tables = {name for name, function in load_functions().items() if function.tables}
    # It runs the handlers of other functions, on records they failed on.
    with_tables -= {"stream-recovery"}
    # Their own tests act as them: one has no store, the others read and write what others do too.
    with_tables -= {"authorizer", "gateway-keys", "notifier", "digests", "webhook-sender", "mail-events"}
    # It looks for the plan of an organisation, as nearly every other one does.
    assert with_tables - {"compactor"} == ENTRIES.keys()


def test_the_recovery_may_do_what_the_functions_it_runs_may() -> None:
    functions = load_functions()
    recovery = functions["stream-recovery"]
    for name in ("meter", "terms", "compensator", "alert-evaluator", "alert-outbox"):
        lacking = {
            table: access
            for table, access in functions[name].tables.items()
            if recovery.tables.get(table) not in {access, "write"}
        }
        assert not lacking, f"stream-recovery runs {name} without {lacking}"


@pytest.mark.parametrize(
    ("function", "aws_region", "action", "table", "pk"),
    [
        ("balance", LONDON, "UpdateItem", LIMITS, "london#acme"),
        ("usage-check", LONDON, "UpdateItem", LIMITS, "sydney#acme"),
        ("usage-check", SYDNEY, "UpdateItem", LIMITS, "london#acme"),
        ("meter", SYDNEY, "UpdateItem", LIMITS, "sydney#acme"),
        ("usage-check", LONDON, "Scan", ORGANISATIONS, None),
        ("heartbeat", LONDON, "GetItem", LIMITS, "london#acme"),
    ],
)
def test_what_the_contract_does_not_give_is_refused(
    function: str, aws_region: str, action: str, table: str, pk: str | None
) -> None:
    assert denied(function, "london", aws_region, action, table, pk)


def test_what_the_contract_gives_is_not_refused() -> None:
    assert denied("usage-check", "london", LONDON, "UpdateItem", LIMITS, "london#acme") is None
    assert denied("usage-check", "london", SYDNEY, "UpdateItem", LIMITS, "sydney#acme") is None
    assert denied("usage-check", "london", LONDON, "ConditionCheckItem", ORGANISATIONS, "sydney#acme") is None
    assert denied("reconcile", "london", LONDON, "Scan", ORGANISATIONS, None) is None


def test_a_store_that_goes_beyond_its_role_is_stopped(world: World) -> None:
    world.found()
    decide = world.stores["london"].decider.decide
    with acting("balance", "london"), pytest.raises(AssertionError, match="balance in london asks london for"):
        decide(DecisionRequest(world.org, "ann"))
    assert world.check().allowed
