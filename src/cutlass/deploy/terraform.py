"""Runs Terraform: one data folder per step, its messages followed as they come, interrupted once and waited for.

Terraform writes to a file which is followed, not to a pipe: if this process is killed, Terraform goes on, and
keeps what it made in the state, instead of dying of a broken pipe in the middle of an apply.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cutlass.deploy.errors import TerraformError
from cutlass.deploy.events import Told
from cutlass.deploy.folders import Folders
from cutlass.deploy.inputs import digest, module_sources
from cutlass.deploy.model import Step

BINARY_VARIABLE = "CUTLASS_TERRAFORM"
"""The environment variable that names Terraform's program, where it is not `terraform` on the PATH."""

MIRROR_VARIABLE = "CUTLASS_TERRAFORM_MIRROR"
"""The environment variable that names a folder of unpacked providers, where there is no registry."""

_COLLECT_GARBAGE = {"GOGC": "400"}
"""What the provider keeps of its thousands of schemas is not looked through again at every step: a third less CPU
time for some tens of megabytes."""

_POLL_SECONDS = 0.1
_INITIALISED = "cutlass-init.json"

TRANSIENT = re.compile(
    r"|".join(
        (
            r"\bThrottl(?:ing|ed)",
            r"TooManyRequests",
            r"RequestLimitExceeded",
            r"Rate exceeded",
            r"SlowDown",
            r"ServiceUnavailable",
            r"InternalServerError",
            r"connection reset by peer",
            r"connection refused",
            r"TLS handshake timeout",
            r"i/o timeout",
            r"unexpected EOF",
            r"no such host",
            r"context deadline exceeded",
        )
    ),
    re.IGNORECASE,
)
"""What goes away by itself. Anything else is not tried again."""

RETRY_SECONDS = (2.0, 5.0, 12.0)
"""How long to wait before each further try."""

Watch = Callable[[Told], None]


@dataclass(slots=True)
class Ended:
    """How a command ended."""

    code: int
    told: Told
    errors: str
    """What it wrote to stderr, else to stdout where that is not JSON."""

    @property
    def reason(self) -> str:
        """Why it failed, in the words of its first error."""
        if self.told.errors:
            return self.told.errors[0]
        return _plain(self.errors) or f"Terraform ended with {self.code}"

    @property
    def transient(self) -> bool:
        """Whether all its errors are of the kind that goes away."""
        errors = self.told.errors or [self.errors]
        return self.code != 0 and all(TRANSIENT.search(error) for error in errors)


@dataclass(slots=True)
class Terraform:
    """Terraform's program with the settings every call has. Threads may share it.

    `stopping` is set by the first Ctrl-C: nothing new is started then.
    """

    folders: Folders
    environment: Mapping[str, str]
    run: str
    stopping: threading.Event = field(default_factory=threading.Event)
    _running: "set[subprocess.Popen[bytes]]" = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _initialising: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, folders: Folders, run: str) -> "Terraform":
        """Return Terraform as it is called here; TerraformError where it is not installed."""
        binary()
        dropped = ("TF_WORKSPACE", "TF_DATA_DIR", "TF_CLI_ARGS", "TF_VAR_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        settings = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
        mirror = os.environ.get(MIRROR_VARIABLE)
        if mirror:
            source = (
                f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(mirror)}\n  }}\n}}\n"
            )
            folders.settings.write_text(source, encoding="utf-8")
            settings["TF_CLI_CONFIG_FILE"] = str(folders.settings)
        return cls(folders, _COLLECT_GARBAGE | kept | settings, run)

    def init(self, step: Step, *options: str) -> None:
        """Make a step's data folder ready, unless it was for the same backend, modules and versions.

        One at a time where providers are downloaded: side by side they would race for a shared plugin cache
        (hashicorp/terraform #31964). From a mirror each data folder gets links of its own.

        Raises
        ------
        TerraformError
            It failed, also when tried again.
        """
        made_from = self._made_from(step, options)
        mark = self.folders.data(step) / _INITIALISED
        if mark.exists() and mark.read_text(encoding="utf-8") == made_from:
            return
        arguments = ["init", "-input=false", "-no-color", "-reconfigure", *options]
        if MIRROR_VARIABLE in os.environ:
            ended = self.again(lambda: self.call(step, "init", arguments))
        else:
            with self._initialising:
                ended = self.again(lambda: self.call(step, "init", arguments))
        if ended.code != 0:
            raise TerraformError(f"init of {step} failed: {ended.reason}")
        mark.write_text(made_from, encoding="utf-8")

    def again(self, call: Callable[[], Ended]) -> Ended:
        """Call, and again while it fails for reasons that go away, with longer and longer waits between."""
        ended = call()
        for seconds in RETRY_SECONDS:
            if not ended.transient or self.stopping.wait(seconds):
                break
            ended = call()
        return ended

    def call(self, step: Step, command: str, arguments: Sequence[str], watch: Watch | None = None) -> Ended:
        """Run one command in a step's folder until it ends, telling `watch` whenever there is news."""
        data = self.folders.data(step)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = self.folders.log(self.run, step, command)
        output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        errors = output.with_suffix(".err")
        environment = {**self.environment, "TF_DATA_DIR": str(data)}
        if command != "init":
            # Init refuses a workspace that has no state yet; the commands after it make one.
            environment["TF_WORKSPACE"] = step.workspace
        with output.open("wb") as to, errors.open("wb") as errors_to:
            # A session of its own: Ctrl-C in the terminal reaches this process, which passes it on once.
            process = subprocess.Popen(  # noqa: S603
                [binary(), *arguments],
                cwd=self.folders.layer(step),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=errors_to,
                start_new_session=True,
            )
        told, plain = Told(), []
        with self._lock:
            self._running.add(process)
            if self.stopping.is_set():
                process.send_signal(signal.SIGINT)
        try:
            with output.open(encoding="utf-8", errors="replace") as following:
                kept = ""
                ended = False
                while not ended:
                    ended = _ended(process)
                    news = False
                    *lines, kept = (kept + following.read()).split("\n")
                    for line in lines:
                        if line.startswith("{"):
                            news |= told.take(line)
                        else:
                            plain.append(line)
                    if news and watch is not None:
                        watch(told)
        finally:
            with self._lock:
                self._running.discard(process)
        text = errors.read_text(encoding="utf-8", errors="replace").strip() or "\n".join([*plain, kept])
        return Ended(process.returncode, told, text)

    def interrupt(self) -> bool:
        """Pass Ctrl-C on to what runs, the first time only; tell whether it was the first.

        A second one would make Terraform give up at once, and lose what it was about to write down.
        """
        if self.stopping.is_set():
            return False
        self.stopping.set()
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGINT)
        return True

    def _made_from(self, step: Step, options: Sequence[str]) -> str:
        folder = self.folders.layer(step)
        chosen = [option.partition("=")[2] for option in options if option.startswith("-backend-config=")]
        files = [folder / name for name in ("backend.tf", "versions.tf", *chosen)]
        found = {str(path): digest(path) for path in files if path.is_file()}
        where = os.environ.get(MIRROR_VARIABLE)
        return json.dumps([found, module_sources(folder), list(options), where, binary()], sort_keys=True)


def binary() -> str:
    """Return Terraform's program.

    Raises
    ------
    TerraformError
        There is none.
    """
    named = os.environ.get(BINARY_VARIABLE, "terraform")
    found = shutil.which(named)
    if found is None:
        raise TerraformError(f"{named} is not installed", hint="put Terraform 1.11 or newer on the PATH")
    return found


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _plain(text: str) -> str:
    """Return the first error of Terraform's text for people, without its frame."""
    lines = [line.strip("│╷╵ \t") for line in text.splitlines()]
    words = [line for line in lines if line]
    start = next((place for place, line in enumerate(words) if line.startswith("Error:")), None)
    shown = words[start : start + 4] if start is not None else words[-3:]
    return " ".join(shown).removeprefix("Error: ")
