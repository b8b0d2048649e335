"""Runs Lambda handlers in this process, the way Lambda calls them."""

import asyncio
import importlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cutlass.contracts import Function
from cutlass.platform.errors import PlatformError
from cutlass.platform.local import ACCOUNT, ENVIRONMENT

Handler = Callable[[Any, Any], Any]

_log = logging.getLogger(__name__)


class FunctionError(PlatformError):
    """The handler could not be loaded, raised, or gave something that is not JSON."""

    code = "function-error"


class FunctionTimeoutError(PlatformError):
    """The handler did not end in its time."""

    code = "function-timeout"


@dataclass(frozen=True, slots=True)
class Context:
    """The second argument of a handler, with the names Lambda gives its parts."""

    function_name: str
    invoked_function_arn: str
    timeout_seconds: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 256
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def log_group_name(self) -> str:
        """Where the function's log lines go in AWS."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run."""
        return max(0, int(1000 * (self.timeout_seconds - (time.monotonic() - self.started))))


class Invocation:
    """One call of a handler, waiting or running."""

    def __init__(self, function: Function, run: Callable[[], Any], turn: "threading.Lock | None") -> None:
        self.function = function
        self.future: Future[Any] = Future()
        self.started: float | None = None
        self._run = run
        self._turn = turn

    def __call__(self) -> None:
        """Run the handler, when it is its turn; its result or error is that of the future."""
        if self._turn is not None:
            self._turn.acquire()
        if not self.future.set_running_or_notify_cancel():
            self._pass_on()
            return
        self.started = time.monotonic()
        try:
            result = self._run()
        except BaseException as error:  # noqa: BLE001 (all a handler may raise belongs to its caller)
            self._pass_on()
            self.future.set_exception(error)
        else:
            self._pass_on()
            self.future.set_result(result)

    def remaining(self) -> float:
        """Return the seconds left; the time in a queue does not count, as it would not in Lambda."""
        limit = float(self.function.timeout_seconds)
        return limit if self.started is None else limit - (time.monotonic() - self.started)

    def abandon(self) -> None:
        """Give up on the call. Lambda ends its process; a thread cannot be ended, but loses its turn."""
        if not self.future.cancel():
            self._pass_on()

    def _pass_on(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.release()


class Runtime:
    """The functions of one region in this process.

    Functions that are `reentrant` run side by side. All others run one after another: a Lambda execution
    environment takes one call at a time, and Powertools relies on it (the current event is kept in a class
    attribute that all resolvers of a process share).

    Parameters
    ----------
    functions : mapping of str to Function
        All functions, by name.
    region, aws_region : str
        Where they run, for their names in AWS.
    workers : int
        How many calls of reentrant functions run at once.
    """

    def __init__(
        self, functions: Mapping[str, Function], region: str, aws_region: str, *, workers: int = 32
    ) -> None:
        self._functions = functions
        self._region = region
        self._aws_region = aws_region
        self._handlers: dict[str, Handler | FunctionError] = {}
        self._loading = threading.Lock()
        self._side_by_side = ThreadPoolExecutor(workers, thread_name_prefix="function")
        self._in_turn = ThreadPoolExecutor(workers, thread_name_prefix="function-serial")
        self._turn = threading.Lock()

    def load(self, names: Iterable[str]) -> None:
        """Import the handlers now, so that no caller waits for it. A broken one fails when it is called."""
        for name in names:
            self._handler(name)

    def arn(self, name: str) -> str:
        """Return the function's name in AWS, in full."""
        resource = self._functions[name].resource(ENVIRONMENT, self._region)
        return f"arn:aws:lambda:{self._aws_region}:{ACCOUNT}:function:{resource}"

    def invoke(self, name: str, event: Any) -> Any:
        """Call the function and return its result, waiting in this thread.

        Raises
        ------
        FunctionTimeoutError
            It took longer than its `timeout_seconds`.
        FunctionError
            It failed; the cause is the handler's own error.
        """
        invocation = self.start(name, event)
        while True:
            try:
                return self._result(invocation, invocation.future.result(max(0.001, invocation.remaining())))
            except TimeoutError as error:
                # A handler's own TimeoutError comes out of a future that is done.
                if invocation.future.done():
                    raise self._failed(invocation, error) from error
                self._expire(invocation)
            except BaseException as error:
                raise self._failed(invocation, error) from error

    async def invoke_async(self, name: str, event: Any, *, patience: float = 29.0) -> Any:
        """Call the function without blocking the event loop; raises what `invoke` raises.

        Parameters
        ----------
        patience : float
            Seconds to wait altogether, in the queue too: API Gateway's limit by default.
        """
        invocation = self.start(name, event)
        waiting = asyncio.wrap_future(invocation.future)
        deadline = time.monotonic() + patience
        while not waiting.done():
            left = min(invocation.remaining(), deadline - time.monotonic())
            await asyncio.wait({waiting}, timeout=max(0.001, left))
            if not waiting.done():
                self._expire(invocation, late=time.monotonic() >= deadline)
        error = waiting.exception()
        if error is not None:
            raise self._failed(invocation, error) from error
        return self._result(invocation, waiting.result())

    def start(self, name: str, event: Any) -> Invocation:
        """Begin a call."""
        function = self._functions[name]
        handler = self._handler(name)

        def run() -> Any:
            if isinstance(handler, FunctionError):
                raise handler
            context = Context(
                function_name=function.resource(ENVIRONMENT, self._region),
                invoked_function_arn=self.arn(name),
                timeout_seconds=function.timeout_seconds,
            )
            return handler(event, context)

        invocation = Invocation(function, run, None if function.reentrant else self._turn)
        (self._side_by_side if function.reentrant else self._in_turn).submit(invocation)
        return invocation

    def close(self) -> None:
        """Let calls that run end, and drop those that wait."""
        for pool in (self._side_by_side, self._in_turn):
            pool.shutdown(wait=False, cancel_futures=True)

    def _handler(self, name: str) -> Handler | FunctionError:
        with self._loading:
            if name not in self._handlers:
                self._handlers[name] = _import(self._functions[name].handler)
            return self._handlers[name]

    def _expire(self, invocation: Invocation, *, late: bool = False) -> None:
        if not late and (invocation.started is None or invocation.remaining() > 0):
            return
        invocation.abandon()
        name, limit = invocation.function.name, invocation.function.timeout_seconds
        raise FunctionTimeoutError(f"the function {name} did not end in {limit} s")

    def _failed(self, invocation: Invocation, error: BaseException) -> FunctionError:
        if isinstance(error, FunctionTimeoutError):
            raise error
        if isinstance(error, FunctionError):
            return error
        return FunctionError(f"the function {invocation.function.name} failed: {type(error).__name__}: {error}")

    def _result(self, invocation: Invocation, result: Any) -> Any:
        try:
            # What crosses Lambda's border is JSON: a handler that gives a set or a datetime fails there too.
            json.dumps(result)
        except (TypeError, ValueError) as error:
            raise FunctionError(f"the result of {invocation.function.name} is not JSON: {error}") from error
        return result


def _import(target: str) -> Handler | FunctionError:
    module, _, name = target.rpartition(".")
    try:
        handler: Handler = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 (as in Lambda, a broken function breaks no other)
        _log.exception("cannot load %s", target)
        return FunctionError(f"cannot load {target}: {type(error).__name__}: {error}")
    return handler
