"""The process that is the platform: starts all others in order, starts them again, ends them in order."""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from cutlass.contracts import contracts_folder, load_topology
from cutlass.platform.errors import AwsError, EmulatorUnreachableError, PlatformError
from cutlass.platform.home import HOME_VARIABLE, Home, locked, read_json, write_json
from cutlass.platform.http import ApiError, request
from cutlass.platform.layout import (
    CONTROL,
    EMULATOR,
    REPLICATOR,
    emulator_program,
    links,
    region_programs,
    socket_names,
)
from cutlass.platform.local import ENVIRONMENT, base_environment
from cutlass.platform.ports import open_sockets, port
from cutlass.platform.processes import Child, Program, is_running, spawn, start_time
from cutlass.platform.provision import provision
from cutlass.platform.running import DEMO, address
from cutlass.platform.tokens import new_service_token
from cutlass.platform.trimming import Trimmer
from cutlass.platform.wire import Wire

_EMULATOR_SECONDS = 20.0
_READY_SECONDS = 45.0
_GATEWAY_STOP_SECONDS = 15.0
_DRAIN_SECONDS = 20.0
_SAVE_SECONDS = 120.0
_STEADY_SECONDS = 5.0
_TRIM_SECONDS = 2.0
_CRASHES_AT_START = 3
_log = logging.getLogger(__name__)


class AlreadyRunningError(PlatformError):
    """Another supervisor holds this home folder."""

    code = "already-running"

    def __init__(self, home: Home) -> None:
        super().__init__(f"the platform already runs in {home.root}", hint="stop it with `cutlass down`")


class Supervisor:
    """Runs the platform of one home folder.

    Parameters
    ----------
    base : int or None
        The first port; None takes free ones.
    fresh : bool
        Whether to forget all state first.
    report : callable, optional
        Told in one line what is being done.
    """

    def __init__(
        self,
        home: Home,
        *,
        base: int | None = None,
        fresh: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._home = home
        self._base = base
        self._fresh = fresh
        self._report = report or _log.info
        self._held = ExitStack()
        self._descriptors: dict[str, int] = {}
        self._ports: dict[str, int] = {}
        self._children: dict[str, Child] = {}
        self._again: dict[str, float] = {}
        self._phase = "starting"
        self._stop_asked = False
        self._regions = load_topology().regions
        self._trimmer: Trimmer | None = None
        self._trim_at = 0.0

    def run(self, tick: Callable[["Supervisor"], None] | None = None) -> None:
        """Start, stay until `ask_to_stop`, stop. `tick` is called several times a second once it is ready.

        Raises
        ------
        PlatformError
            It could not start, or the emulator died; everything is stopped by then.
        """
        try:
            self._start()
            while not self._stop_asked:
                self._mind()
                self._trim()
                if tick is not None:
                    tick(self)
                time.sleep(0.1)
        finally:
            self._stop()

    def ask_to_stop(self) -> None:
        """Make `run` stop everything and return; signal handlers may call it."""
        self._stop_asked = True

    def state(self) -> dict[str, Any]:
        """Return what `platform.json` holds."""
        ready = self._phase == "ready"
        return {
            "pid": os.getpid(),
            "started": start_time(os.getpid()),
            "phase": self._phase,
            "environment": ENVIRONMENT,
            "regions": {
                name: {"url": address(self._ports[f"gateway-{name}"]), "ready": ready} for name in self._regions
            },
            "aws_endpoint": address(self._ports[EMULATOR]),
            "control": address(self._ports[CONTROL]),
            "links": links(self._regions, self._ports),
            "demo": DEMO,
            "processes": [
                {
                    "name": name,
                    "pid": child.pid,
                    "started": child.started,
                    "restarts": child.restarts,
                    "running": not child.has_ended(),
                }
                for name, child in list(self._children.items())
            ],
        }

    # Start

    def _start(self) -> None:
        os.umask(0o077)
        self._home.ensure()
        if not self._held.enter_context(locked(self._home.lock_file)):
            self._phase = "refused"
            raise AlreadyRunningError(self._home)
        self._outlive_predecessors()
        if self._fresh:
            self._home.forget()
        (self._home.root / "wan.json").unlink(missing_ok=True)
        self._open()
        self._write()
        endpoint = address(self._ports[EMULATOR])
        self._report("starting the emulator")
        self._spawn(emulator_program(self._home))
        self._await_emulator(endpoint)
        self._report("laying tables, queues, buckets and user pools")
        provision(endpoint, self._home)
        self._report("starting gateways, consumers and the replicator")
        for program in region_programs(self._regions, self._ports):
            self._spawn(program)
        self._write()
        self._await_gateways(endpoint)
        self._report("loading the demo organisation")
        self._load_demo(endpoint)
        self._trimmer = Trimmer(endpoint, self._home.checkpoints)
        self._phase = "ready"
        self._write()

    def _outlive_predecessors(self) -> None:
        """Wait for the children of a supervisor that was killed: they end by themselves, and save."""
        state = read_json(self._home.state_file) or {}
        deadline = time.monotonic() + _SAVE_SECONDS
        for process in state.get("processes", []):
            while is_running(process["pid"], process["started"]):
                if time.monotonic() > deadline:
                    raise PlatformError(
                        f"process {process['pid']} ({process['name']}) of an earlier run does not end",
                        hint=f"end it with `kill {process['pid']}`",
                    )
                time.sleep(0.05)

    def _open(self) -> None:
        sockets = open_sockets(socket_names(self._regions), self._home, base=self._base)
        for name, bound in sockets.items():
            self._held.enter_context(bound)
            self._descriptors[name] = bound.fileno()
            self._ports[name] = port(bound)
        reading, self._lifeline_end = os.pipe()
        self._lifeline = reading
        os.set_inheritable(self._lifeline_end, False)  # noqa: FBT003
        self._held.callback(os.close, reading)
        self._held.callback(os.close, self._lifeline_end)

    def _spawn(self, program: Program) -> Child:
        base = base_environment() | {
            HOME_VARIABLE: str(self._home.root),
            "CUTLASS_CONTRACTS": str(contracts_folder().absolute()),
        }
        child = spawn(
            program,
            base=base,
            descriptors=self._descriptors,
            lifeline=self._lifeline,
            log=self._home.logs / f"{program.name}.log",
        )
        before = self._children.get(program.name)
        if before is not None:
            child.restarts = before.restarts + 1
        self._children[program.name] = child
        return child

    def _await_emulator(self, endpoint: str) -> None:
        wire = Wire(endpoint, next(iter(self._regions.values())).aws_region)
        deadline = time.monotonic() + _EMULATOR_SECONDS
        while True:
            try:
                wire.own("/_cutlass/changes", timeout=1)
            except (AwsError, EmulatorUnreachableError):
                if self._children[EMULATOR].has_ended() or time.monotonic() > deadline:
                    raise PlatformError(*self._blame(EMULATOR, "did not start")) from None
                time.sleep(0.02)
            else:
                return

    def _await_gateways(self, endpoint: str) -> None:
        """Wait until every region is ready, and knows the user pool of the region before it."""
        deadline = time.monotonic() + _READY_SECONDS
        names = list(self._regions)
        for place, region in enumerate(names):
            name = f"gateway-{region}"
            token = new_service_token(self._home, endpoint, names[place - 1]).jwt
            while not self._stop_asked:
                self._mind()
                try:
                    request("GET", f"{address(self._ports[name])}/ready", token=token, timeout=2)
                except PlatformError as error:
                    if time.monotonic() > deadline:
                        reason = f"is not ready after {_READY_SECONDS:.0f} s: {error.message}"
                        raise PlatformError(*self._blame(name, reason)) from None
                    time.sleep(0.03 if not isinstance(error, ApiError) else 0.2)
                else:
                    break

    def _load_demo(self, endpoint: str) -> None:
        region = next(iter(self._regions))
        token = new_service_token(self._home, endpoint, region).jwt
        organisation = f"{address(self._ports[f'gateway-{region}'])}/orgs/{DEMO['org_id']}"
        if _exists(organisation, token):
            return  # what the person has made of it stays
        request("PUT", organisation, token=token, body={"plan": "basic", "home_region": region})
        request("PUT", f"{organisation}/users/{DEMO['user_id']}", token=token, body={"limits": {}})

    # Minding

    def _mind(self) -> None:
        """Start again what has died."""
        now = time.monotonic()
        for name, child in list(self._children.items()):
            if not child.has_ended():
                continue
            if name == EMULATOR:
                raise PlatformError(*self._blame(name, f"died (exit code {child.process.returncode})"))
            if self._phase == "starting" and child.restarts >= _CRASHES_AT_START:
                raise PlatformError(*self._blame(name, "dies again and again"))
            if name not in self._again:
                # One that lived is started at once, one that dies at its start a little later each time.
                lived = now - child.began
                self._again[name] = now + (0.0 if lived > _STEADY_SECONDS else min(5.0, 0.2 * 2**child.restarts))
                _log.warning("%s ended with %s", name, child.process.returncode)
            if now >= self._again[name]:
                del self._again[name]
                self._spawn(child.program)
                self._write()

    def _trim(self) -> None:
        if self._trimmer is not None and time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + _TRIM_SECONDS
            self._trimmer.trim()

    def _blame(self, name: str, what: str) -> tuple[str]:
        log = self._home.logs / f"{name}.log"
        with suppress(OSError):
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                what = f"{what} — {lines[-1].strip()[:300]}"
        return (f"{name} {what} (log: {log})",)

    # Stop

    def _stop(self) -> None:
        if self._phase == "refused":
            self._held.close()
            return
        failed = sys.exception() is not None
        self._phase = "stopping"
        # Without the emulator there is nothing to drain into, and nothing left to save.
        lost = EMULATOR not in self._children or self._children[EMULATOR].has_ended()
        if self._ports:
            self._write()
        try:
            self._end("gateway-", 1.0 if lost else _GATEWAY_STOP_SECONDS, "letting requests end")
            self._end("consumer-", 1.0 if lost else _DRAIN_SECONDS, "consuming what is left in the streams")
            self._end(REPLICATOR, 1.0 if lost else _DRAIN_SECONDS, "copying what is left between the regions")
            saved = self._end(EMULATOR, _SAVE_SECONDS, "saving the emulator's state")
        finally:
            self._home.state_file.unlink(missing_ok=True)
            self._held.close()
        if not saved and not failed:
            raise PlatformError(*self._blame(EMULATOR, "could not save its state"))

    def _end(self, prefix: str, seconds: float, doing: str) -> bool:
        """End the children of that name, together; tell whether all of them ended well."""
        children = [child for name, child in self._children.items() if name.startswith(prefix)]
        if children:
            self._report(doing)
        for child in children:
            child.ask_to_end()
        deadline = time.monotonic() + seconds
        in_time = [child.end(max(0.1, deadline - time.monotonic())) for child in children]
        return all(in_time) and all(child.process.returncode == 0 for child in children)

    def _write(self) -> None:
        write_json(self._home.state_file, self.state())


def _exists(url: str, token: str) -> bool:
    try:
        request("GET", url, token=token)
    except ApiError as error:
        if error.answered != 404:
            raise
        return False
    return True
