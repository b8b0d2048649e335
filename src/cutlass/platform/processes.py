"""The processes of the platform: starting them, knowing them again, ending them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cutlass.platform.child import LIFELINE, socket_variable

_PROC = Path("/proc")


def start_time(pid: int) -> str | None:
    """Return when a process was started, in the system's own words; None if there is none.

    With its pid this tells a process from a later one that happens to have the same pid. One that has ended
    and only waits for its parent to notice is none.
    """
    if not (_PROC / "self").exists():
        return _start_time_by_ps(pid)
    try:
        # The fields after the command's name, which may itself hold spaces and brackets.
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _start_time_by_ps(pid: int) -> str | None:
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return None if state.startswith("Z") else started.strip() or None


def is_running(pid: int, started: str) -> bool:
    """Tell whether the very process still runs."""
    return start_time(pid) == started


@dataclass(frozen=True, slots=True)
class Program:
    """What a process of the platform is: its module, its settings, and the sockets it inherits."""

    name: str
    module: str
    environment: Mapping[str, str]
    sockets: Sequence[str] = ()


@dataclass(slots=True)
class Child:
    """A process of the platform, and how often it had to be started again."""

    program: Program
    process: subprocess.Popen[bytes]
    started: str
    restarts: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def has_ended(self) -> bool:
        """Tell whether the process is over."""
        return self.process.poll() is not None

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if not self.has_ended():
            self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait until the process is over; False if it is not after so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self, seconds: float) -> bool:
        """Ask the process to end, wait, and kill it after so many seconds; False if it had to be killed."""
        self.ask_to_end()
        if self.wait(seconds):
            return True
        self.process.kill()
        self.process.wait()
        return False


def spawn(
    program: Program, *, base: Mapping[str, str], descriptors: Mapping[str, int], lifeline: int, log: Path
) -> Child:
    """Start a program in a session of its own: Ctrl-C in the terminal reaches the supervisor only.

    Parameters
    ----------
    base : mapping
        The environment every program starts from.
    descriptors : mapping
        The sockets by name, of which it inherits its own.
    lifeline : int
        The read end of the pipe by which it learns of the supervisor's end.
    log : Path
        Where its output goes.
    """
    inherited = {name: descriptors[name] for name in program.sockets}
    environment = {**base, **program.environment, LIFELINE: str(lifeline)}
    environment |= {socket_variable(name): str(descriptor) for name, descriptor in inherited.items()}
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", program.module],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lifeline, *inherited.values()],
            start_new_session=True,
            cwd=os.sep,
        )
    return Child(program, process, start_time(process.pid) or "")
