"""The listening sockets of the platform: opened once by the supervisor, inherited by its children."""

import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from cutlass.platform.errors import PlatformError
from cutlass.platform.home import Home, read_json, write_json
from cutlass.platform.local import ADDRESS

_BACKLOG = 512


def open_sockets(names: Iterable[str], home: Home, *, base: int | None) -> dict[str, socket.socket]:
    """Return a listening socket of 127.0.0.1 for every name.

    Parameters
    ----------
    base : int or None
        The first port; the others follow. None takes the ports of the last run where they are free, else any.

    Raises
    ------
    PlatformError
        A port that was asked for is taken.
    """
    wanted = _wanted(names, home, base)
    with ExitStack() as opened:
        sockets = {
            name: opened.enter_context(_open(port, fixed=base is not None)) for name, port in wanted.items()
        }
        opened.pop_all()
    write_json(home.ports_file, {name: port(bound) for name, bound in sockets.items()})
    return sockets


def port(bound: socket.socket) -> int:
    """Return the port a socket listens on."""
    return int(bound.getsockname()[1])


def _wanted(names: Iterable[str], home: Home, base: int | None) -> Mapping[str, int]:
    if base is not None:
        return {name: base + place for place, name in enumerate(names)}
    last = read_json(home.ports_file) or {}
    return {name: int(last.get(name, 0)) for name in names}


def _open(number: int, *, fixed: bool) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((ADDRESS, number))
    except (OSError, OverflowError) as error:
        made.close()
        if fixed:
            raise PlatformError(
                f"port {number} of {ADDRESS} cannot be used: {error}",
                hint="choose another with --port, or leave it out to take free ones",
            ) from error
        return _open(0, fixed=True)
    made.listen(_BACKLOG)
    return made
