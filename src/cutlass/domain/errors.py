"""The errors a caller of the rules or of the store may meet, each with a stable code.

`code` ends the `type` of an RFC 9457 problem, so it is part of the public interface. Anything that is not
a `CutlassError` is a bug and keeps its traceback.
"""


class CutlassError(Exception):
    """A failure with a message meant for the caller, and a hint where there is something to do.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    hint : str, optional
        What to do about it.
    """

    code = "internal-error"
    status = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidRequestError(CutlassError):
    """The request breaks the contract; `field` names the part that does, as a JSON path of names."""

    code = "invalid-request"
    status = 400

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


class UnauthenticatedError(CutlassError):
    """The token is missing, expired, forged or of another issuer."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(CutlassError):
    """The caller is known but may not do this, or not to this organisation."""

    code = "forbidden"
    status = 403


class NotInPlanError(ForbiddenError):
    """The organisation's plan does not have the feature."""

    code = "not-in-plan"


class NotFoundError(CutlassError):
    """The named organisation, user, grant, reservation or route does not exist."""

    code = "not-found"
    status = 404


class ConflictError(CutlassError):
    """The request contradicts what is stored; nothing was changed."""

    code = "conflict"
    status = 409


class ReservationExpiredError(ConflictError):
    """The reservation's deadline passed, and its units went back before it was committed."""

    code = "reservation-expired"


class InsufficientUnitsError(ConflictError):
    """A reservation cannot be committed with so much; nothing was changed.

    Parameters
    ----------
    available : int, optional
        The largest cost it could be committed with now.
    """

    code = "insufficient-units"

    def __init__(self, message: str, *, hint: str | None = None, available: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.available = available


class PayloadTooLargeError(CutlassError):
    """The request body is larger than the interface takes."""

    code = "payload-too-large"
    status = 413


class IdempotencyMismatchError(CutlassError):
    """The request id was used before, with another body."""

    code = "idempotency-mismatch"
    status = 422


class UnavailableError(CutlassError):
    """The store could not answer in time; the same request may be sent again with the same request id.

    Parameters
    ----------
    retry_after : int, optional
        Seconds to wait before the retry.
    """

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, hint: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class RegionFencedError(CutlassError):
    """An operator has fenced this region: it decides nothing until it is readmitted."""

    code = "region-fenced"
    status = 503
    retry_after = 30


class ContractError(CutlassError):
    """A file of `contracts/` is wrong; the message begins with file, line and key."""

    code = "contract-error"
