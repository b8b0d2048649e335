"""Looks up names whose servers are strangers', and waits no longer than there is time.

The system's resolver takes no time limit: one hanging name server keeps it for half a minute. So it is asked in a
thread of its own, which ends when it ends.
"""

import socket
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread

from cutlass.notifications.targets import Resolve


class Names:
    """Looks names up; threads may share it.

    However many ask for a name meanwhile, it is looked up once: as many threads hang as names do.

    Parameters
    ----------
    seconds : float
        How long whoever asks waits.
    resolve : callable, optional
        Gives a name's addresses; the system's resolver unless given.
    """

    def __init__(self, seconds: float, resolve: Resolve | None = None) -> None:
        self._seconds = seconds
        self._resolve = resolve or _by_the_system
        self._running: dict[tuple[str, int], Future[list[str]]] = {}
        self._changing = Lock()

    def addresses(self, host: str, port: int) -> list[str]:
        """Return a name's addresses for a port, as text.

        Raises
        ------
        OSError
            It has none, or none was found in time.
        """
        with self._changing:
            answer = self._running.get((host, port))
            if answer is None:
                answer = Future()
                Thread(target=self._look, args=(host, port, answer), daemon=True).start()
                self._running[host, port] = answer
        with suppress(TimeoutError):
            return answer.result(self._seconds)
        raise TimeoutError("it took too long")

    def _look(self, host: str, port: int, answer: Future[list[str]]) -> None:
        found: list[str] = []
        problem: Exception | None = None
        try:
            found = self._resolve(host, port)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            problem = error
        with self._changing:
            del self._running[host, port]  # before anyone is told: the next call is to look anew
        if problem is None:
            answer.set_result(found)
        else:
            answer.set_exception(problem)


def _by_the_system(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("it is no name of the DNS") from error  # a part of it is empty, or has over 63 letters
    return [str(one[4][0]) for one in found]
