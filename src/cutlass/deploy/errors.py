"""What can go wrong with a deployment, as the operator is told it."""

from cutlass.domain.errors import CutlassError


class DeployError(CutlassError):
    """The deployment cannot do what was asked."""

    code = "deploy-error"


class TargetError(DeployError):
    """There is no such environment, workspace or layer: wrong usage."""

    code = "no-such-target"


class RefusedError(DeployError):
    """A guard is in the way: another account, a change by hand, data that would be lost."""

    code = "refused"


class StalePlanError(DeployError):
    """What a kept plan was made from has changed since.

    Parameters
    ----------
    by_reading : bool, optional
        Whether nothing changed but the outputs it reads, as when they were applied just before.
    """

    code = "stale-plan"

    def __init__(self, message: str, *, hint: str | None = None, by_reading: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.by_reading = by_reading


class LockedError(DeployError):
    """Another run holds the lock of a state."""

    code = "locked"


class CloudError(DeployError):
    """AWS refused a call of the tool's own, or did not answer."""

    code = "cloud-error"


class TerraformError(DeployError):
    """Terraform could not be run, or ended with an error."""

    code = "terraform-error"


class InterruptedRunError(DeployError):
    """The operator's Ctrl-C ended the work before it was done."""

    code = "interrupted"


class PackageError(CutlassError):
    """A function's package cannot be built."""

    code = "package-error"
