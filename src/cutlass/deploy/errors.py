"""What can go wrong with a deployment, as the person at the keyboard is told it."""

from cutlass.domain.errors import CutlassError


class PackageError(CutlassError):
    """A function's package cannot be built."""

    code = "package-error"
