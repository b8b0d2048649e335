"""Starting the platform in the background, and stopping it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cutlass.platform.errors import NotRunningError, PlatformError
from cutlass.platform.home import HOME_VARIABLE, Home, read_json, write_json
from cutlass.platform.processes import is_running
from cutlass.platform.running import Running
from cutlass.platform.supervisor import AlreadyRunningError, Supervisor

_START_SECONDS = 120.0
_STOP_SECONDS = 240.0
_BASE_VARIABLE, _FRESH_VARIABLE = "CUTLASS_PORT_BASE", "CUTLASS_FRESH"


def start(home: Home, *, base: int | None, fresh: bool) -> Running:
    """Start the platform in the background and return it once it is ready, or the one that runs already.

    Raises
    ------
    PlatformError
        It did not start, or `fresh` was asked of one that runs.
    """
    home.ensure()
    try:
        Running.find(home)
    except NotRunningError:
        pass
    else:
        if fresh:
            raise AlreadyRunningError(home)
        return await_ready(home)
    _failure_file(home).unlink(missing_ok=True)
    environment = os.environ | {
        HOME_VARIABLE: str(home.root),
        _BASE_VARIABLE: "" if base is None else str(base),
        _FRESH_VARIABLE: "1" if fresh else "",
    }
    log_file = home.root / "supervisor.log"
    log_file.touch(mode=0o600)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cutlass.platform.launch"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return await_ready(home, process)


def await_ready(home: Home, process: "subprocess.Popen[bytes] | None" = None) -> Running:
    """Return the platform once it is ready.

    Parameters
    ----------
    process : Popen, optional
        The supervisor, where this process started it.

    Raises
    ------
    PlatformError
        It ended instead, or took two minutes.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = process is not None and process.poll() is not None
        try:
            running = Running.find(home)
        except NotRunningError:
            if process is None or ended:
                raise _failure(home) from None
        else:
            if running.phase == "ready":
                return running
        time.sleep(0.03)
    raise PlatformError(
        f"the platform is not ready after {_START_SECONDS:.0f} s", hint=f"see the logs in {home.logs}"
    )


def stop(home: Home) -> bool:
    """Stop the platform and wait until all is on disk; False if none was running.

    Raises
    ------
    PlatformError
        It did not end, or could not save its state.
    """
    try:
        running = Running.find(home)
    except NotRunningError:
        return False
    _failure_file(home).unlink(missing_ok=True)
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while is_running(running.pid, running.state["started"]):
        if time.monotonic() > deadline:
            raise PlatformError(
                f"the platform (process {running.pid}) did not end in {_STOP_SECONDS:.0f} s",
                hint=f"see {home.logs}; `kill -9 {running.pid}` ends it, and loses what was not saved",
            )
        time.sleep(0.03)
    if _failure_file(home).exists():
        raise _failure(home)
    return True


def _failure_file(home: Home) -> Path:
    return home.root / "failure.json"


def _failure(home: Home) -> PlatformError:
    failure = read_json(_failure_file(home))
    if failure is None:
        return PlatformError("the platform ended while it started", hint=f"see {home.root / 'supervisor.log'}")
    return PlatformError(failure["message"], hint=failure["hint"])


def main() -> int:
    """Be the supervisor in the background; a failure is left in `failure.json` for who started it."""
    home = Home.from_environment()
    base = os.environ.get(_BASE_VARIABLE)
    supervisor = Supervisor(home, base=int(base) if base else None, fresh=bool(os.environ.get(_FRESH_VARIABLE)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.ask_to_stop())
    try:
        supervisor.run()
    except PlatformError as error:
        write_json(_failure_file(home), {"message": error.message, "hint": error.hint})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
