"""How making a report may fail, besides what its archive may."""

from cutlass.domain.errors import CutlassError, UnavailableError


class ReportCancelledError(CutlassError):
    """It was cancelled while it was made; nothing was left behind."""

    code = "report-cancelled"
    status = 409


class ReportTooLargeError(CutlassError):
    """It needs more memory, or has more rows, than a worker or its format can take."""

    code = "report-too-large"
    status = 422


class ArchiveChangedError(UnavailableError):
    """Files were replaced while they were asked, so that answers may lack what was in them: to be asked again."""
