"""What every process of the platform does first: take its sockets, and end when its parent does."""

import logging
import os
import signal
import socket
import sys
import threading
import time

LIFELINE = "CUTLASS_LIFELINE_FD"
"""Names the read end of a pipe whose write end only the supervisor holds."""

_GRACE_SECONDS = 30.0


def socket_variable(name: str) -> str:
    """Return the environment variable that carries the descriptor of the socket called `name`."""
    return f"CUTLASS_SOCKET_{name.upper().replace('-', '_')}"


def inherited_socket(name: str) -> socket.socket:
    """Return the listening socket the supervisor opened for this process.

    The supervisor keeps it open too: while a killed process starts again its port is not lost, and callers
    wait in the backlog.
    """
    return socket.socket(fileno=int(os.environ[socket_variable(name)]))


def follow_parent() -> None:
    """End this process, as SIGTERM would, when the supervisor is gone, however it went.

    A pipe's end of file is the same on every system, where a parent-death signal is Linux only.
    """
    descriptor = os.environ.get(LIFELINE)
    if descriptor is None:
        return

    def watch() -> None:
        os.read(int(descriptor), 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def log_to_stdout() -> None:
    """Send log lines to the process's own log file, which the supervisor made its output."""
    logging.basicConfig(
        stream=sys.stdout,
        level=os.environ.get("LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(message)s",
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
