"""Errors that only HTTP knows."""

from collections.abc import Mapping

from cutlass.domain.errors import CutlassError


class MethodNotAllowedError(CutlassError):
    """The route exists, but not with this method.

    Parameters
    ----------
    allowed : list of str
        The methods it has, for the `Allow` field.
    """

    code = "method-not-allowed"
    status = 405

    def __init__(self, message: str, *, allowed: list[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.allowed = allowed


class UnsupportedMediaTypeError(CutlassError):
    """The body is not JSON, or does not say so."""

    code = "unsupported-media-type"
    status = 415


class TooManyRequestsError(CutlassError):
    """The caller is beyond a quota or a throttle that time resets.

    Parameters
    ----------
    retry_after : int
        Seconds to wait before the retry.
    """

    code = "quota-exceeded"
    status = 429

    def __init__(self, message: str, *, hint: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class RefusedError(CutlassError):
    """A decision refuses what an enforcing route was asked for.

    Parameters
    ----------
    status, code : int, str
        429 where time resets a limit, 402 where credits are used up.
    headers : mapping of str to str
        Where the user stands, as header fields.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        headers: Mapping[str, str],
        hint: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.headers = headers
        self.retry_after = retry_after


class GatewayTimeoutError(CutlassError):
    """A function did not answer within its time; whether it acted is unknown."""

    code = "gateway-timeout"
    status = 504
