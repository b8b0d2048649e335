"""The home folder: everything the local platform keeps, readable by its owner only."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutlass.platform.errors import PlatformError

HOME_VARIABLE = "CUTLASS_HOME"
"""The environment variable that names another home folder than `.cutlass` in the current one."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder, and where in it each thing is."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Return the home folder of this call: `CUTLASS_HOME`, else `.cutlass` in the current folder."""
        return cls(Path(os.environ.get(HOME_VARIABLE) or ".cutlass").absolute())

    @property
    def emulator(self) -> Path:
        """What the emulator keeps: tables, user pools, queues, streams."""
        return self.root / "emulator"

    @property
    def checkpoints(self) -> Path:
        """How far each consumer has come in each stream."""
        return self.root / "checkpoints"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.root / "logs"

    @property
    def state_file(self) -> Path:
        """What runs: processes, addresses, whether it is ready."""
        return self.root / "platform.json"

    @property
    def ports_file(self) -> Path:
        """The ports of the last run, taken again if they are free."""
        return self.root / "ports.json"

    @property
    def secrets_file(self) -> Path:
        """Client secrets, and the key that local users' passwords are made from."""
        return self.root / "secrets.json"

    @property
    def tokens_file(self) -> Path:
        """The tokens of the command itself."""
        return self.root / "tokens.json"

    @property
    def lock_file(self) -> Path:
        """Locked as long as a supervisor lives."""
        return self.root / "lock"

    def ensure(self) -> None:
        """Make the folder, if it is not there, for its owner alone."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder in (self.emulator, self.checkpoints, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.touch(mode=0o600)
            ignore.write_text("*\n", encoding="utf-8")

    def forget(self) -> None:
        """Remove all state, keeping the ports and the lock."""
        for folder in (self.emulator, self.checkpoints, self.logs):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.state_file, self.secrets_file, self.tokens_file):
            file.unlink(missing_ok=True)
        self.ensure()


def read_json(path: Path) -> Any:
    """Return what the file holds, or None if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PlatformError(f"{path} is not JSON: {error}", hint="start over with `cutlass up --fresh`") from error


def write_json(path: Path, value: object) -> None:
    """Replace the file at once, so that a reader, or a kill at any moment, sees the old or the new whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, separators=(",", ":"))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of `path` while in the block; gives False at once if another holds it and not `wait`.

    The kernel lets go of the lock when its holder dies, however it dies: no stale lock can remain.
    """
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
