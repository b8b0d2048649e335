"""Handlers run in this process, the way Lambda calls them."""

import asyncio
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cutlass.contracts import Function
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError, Runtime

MODULE = "cutlass_test_handlers"


def function(name: str, *, reentrant: bool = False, timeout: int = 5) -> Function:
    return Function(
        name=name,
        title=name,
        handler=f"{MODULE}.{name}",
        timeout_seconds=timeout,
        reentrant=reentrant,
        tables={},
        peer_tables={},
        streams=(),
        schedules=(),
    )


Make = Callable[..., Runtime]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Runtime] = []

    def make(*functions: Function, **handlers: Any) -> Runtime:
        module = types.ModuleType(MODULE)
        vars(module).update(handlers)
        monkeypatch.setitem(sys.modules, MODULE, module)
        made.append(Runtime({one.name: one for one in functions}, "london", "eu-west-2", workers=4))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_handler_gets_its_event_and_a_context_with_lambdas_names(runtime: Make) -> None:
    def look(event: Any, context: Any) -> Any:
        return [
            event,
            context.function_name,
            context.invoked_function_arn,
            0 < context.get_remaining_time_in_millis() <= 5000,
            bool(context.aws_request_id),
        ]

    answer = runtime(function("look"), look=look).invoke("look", {"a": 1})
    name = "cutlass-tech-look-dev-london"
    assert answer == [{"a": 1}, name, f"arn:aws:lambda:eu-west-2:111111111111:function:{name}", True, True]


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("mine"), SystemExit(3)])
def test_what_a_handler_raises_is_the_cause_of_a_function_error(runtime: Make, error: BaseException) -> None:
    def fail(_event: Any, _context: Any) -> None:
        raise error

    with pytest.raises(FunctionError) as raised:
        runtime(function("fail"), fail=fail).invoke("fail", None)
    assert raised.value.__cause__ is error


def test_a_handler_that_cannot_be_loaded_fails_when_it_is_called_and_breaks_no_other(runtime: Make) -> None:
    both = runtime(function("gone"), function("there"), there=lambda _event, _context: "here")
    both.load(["gone", "there"])
    assert both.invoke("there", None) == "here"
    with pytest.raises(FunctionError, match="cannot load"):
        both.invoke("gone", None)


def test_a_result_that_is_not_json_is_an_error(runtime: Make) -> None:
    with pytest.raises(FunctionError, match="not JSON"):
        runtime(function("give"), give=lambda _event, _context: {1, 2}).invoke("give", None)


def test_reentrant_handlers_run_side_by_side(runtime: Make) -> None:
    together = threading.Barrier(2, timeout=5)

    def meet(_event: Any, _context: Any) -> None:
        together.wait()

    made = runtime(function("meet", reentrant=True), meet=meet)
    for call in [made.start("meet", None) for _ in range(2)]:
        call.future.result(5)


def test_all_others_run_one_after_another(runtime: Make) -> None:
    inside, most = 0, 0

    def count(_event: Any, _context: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.01)
        inside -= 1

    made = runtime(function("first"), function("second"), first=count, second=count)
    for call in [made.start(name, None) for name in ("first", "second") * 4]:
        call.future.result(5)
    assert most == 1


def test_a_call_that_hangs_is_given_up_and_holds_up_no_other(runtime: Make) -> None:
    release = threading.Event()
    made = runtime(
        function("hang", timeout=1),
        function("other"),
        hang=lambda _event, _context: release.wait(20),
        other=lambda _event, _context: "done",
    )
    try:
        with pytest.raises(FunctionTimeoutError, match="hang did not end in 1 s"):
            made.invoke("hang", None)
        assert made.invoke("other", None) == "done"
    finally:
        release.set()


def test_waiting_for_its_turn_does_not_count_as_running(runtime: Make) -> None:
    release = threading.Event()
    made = runtime(
        function("slow", timeout=5),
        function("quick", timeout=1),
        slow=lambda _event, _context: release.wait(20),
        quick=lambda _event, _context: "done",
    )
    made.start("slow", None)
    threading.Timer(1.3, release.set).start()
    assert asyncio.run(made.invoke_async("quick", None)) == "done"


def test_the_gateways_patience_ends_even_in_the_queue(runtime: Make) -> None:
    release = threading.Event()
    made = runtime(
        function("slow"),
        function("quick"),
        slow=lambda _event, _context: release.wait(20),
        quick=lambda _event, _context: "done",
    )
    made.start("slow", None)
    try:
        with pytest.raises(FunctionTimeoutError):
            asyncio.run(made.invoke_async("quick", None, patience=0.2))
    finally:
        release.set()
