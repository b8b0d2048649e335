"""HTTP to the platform's own processes: short, and with errors a person can act on."""

import json
from typing import Any

import urllib3

from cutlass.platform.errors import PlatformError

_pool = urllib3.PoolManager(retries=False, maxsize=8)


class ApiError(PlatformError):
    """The interface answered with a problem.

    Parameters
    ----------
    answered : int
        The HTTP status.
    problem : dict
        The problem object (RFC 9457).
    """

    code = "api-error"

    def __init__(self, answered: int, problem: dict[str, Any]) -> None:
        detail = problem.get("detail") or problem.get("title") or "no detail"
        field = problem.get("field")
        super().__init__(
            f"{answered}: {detail}" + (f" ({field})" if field and field not in detail else ""),
            hint=problem.get("hint"),
        )
        self.answered = answered
        self.problem = problem


def request(
    method: str,
    url: str,
    *,
    token: str | None = None,
    body: object = None,
    headers: dict[str, str] | None = None,
    timeout: float = 35,
) -> tuple[int, Any]:
    """Return status and JSON of an answer that is a success.

    Raises
    ------
    ApiError
        The answer is a problem.
    PlatformError
        There was no answer, or not one in JSON.
    """
    fields = dict(headers or {})
    content = None
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None:
        fields["Content-Type"] = "application/json"
        content = json.dumps(body).encode()
    try:
        answer = _pool.request(method, url, body=content, headers=fields, timeout=urllib3.Timeout(total=timeout))
    except urllib3.exceptions.HTTPError as error:
        where = url.partition("?")[0]
        raise PlatformError(f"no answer from {where}: {error}", hint="`cutlass status` shows what runs") from error
    try:
        value = json.loads(answer.data) if answer.data else None
    except ValueError as error:
        raise PlatformError(f"{url.partition('?')[0]} answered {answer.status}, but not in JSON") from error
    if answer.status >= 400:
        raise ApiError(answer.status, value if isinstance(value, dict) else {})
    return answer.status, value
