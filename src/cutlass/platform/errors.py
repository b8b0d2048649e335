"""What can go wrong with the local platform, as the person at the keyboard is told it."""

from cutlass.domain.errors import CutlassError


class PlatformError(CutlassError):
    """The local platform cannot do what was asked."""

    code = "platform-error"


class NotRunningError(PlatformError):
    """There is no platform running in this home folder."""

    code = "not-running"

    def __init__(self) -> None:
        super().__init__("the platform is not running", hint="start it with `cutlass up`")


class AwsError(PlatformError):
    """An AWS API, of the emulator here, answered with an error.

    Parameters
    ----------
    code : str
        AWS's name of the error, such as `ResourceNotFoundException`.
    """

    def __init__(self, operation: str, aws_code: str, message: str) -> None:
        super().__init__(f"{operation}: {aws_code}: {message}")
        self.operation = operation
        self.aws_code = aws_code


class EmulatorUnreachableError(PlatformError):
    """The emulator did not answer."""

    code = "emulator-unreachable"
