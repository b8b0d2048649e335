"""The running platform as commands call it: with a service token of its own, renewed in time."""

from typing import Any
from urllib.parse import quote, urlencode

from cutlass.platform.home import Home
from cutlass.platform.http import ApiError, request
from cutlass.platform.running import Running
from cutlass.platform.tokens import new_service_token, service_token


class Session:
    """Calls the interface of one region.

    Parameters
    ----------
    region : str or None
        The region; None for the first one.

    Raises
    ------
    NotRunningError
        No platform runs in the home folder.
    PlatformError
        There is no such region.
    """

    def __init__(self, region: str | None) -> None:
        self._home = Home.from_environment()
        self.running = Running.find(self._home)
        self.region = region or next(iter(self.running.state["regions"]))
        self._url = self.running.url(self.region)

    def call(
        self,
        method: str,
        *path: str,
        query: dict[str, Any] | None = None,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Return the answer's JSON; the parts of the path may hold any characters.

        Raises
        ------
        ApiError
            The answer is a problem.
        PlatformError
            There was no answer.
        """
        url = self._url + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            url += f"?{urlencode(query)}"
        token = service_token(self._home, self.running.endpoint, self.region)
        try:
            return request(method, url, token=token.jwt, body=body, headers=headers)[1]
        except ApiError as error:
            if error.answered != 401:
                raise
        # The token is of a platform that was started over since.
        token = new_service_token(self._home, self.running.endpoint, self.region)
        return request(method, url, token=token.jwt, body=body, headers=headers)[1]
