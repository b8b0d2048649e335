"""What keeps an operator from changing the wrong account, losing data, or applying what is not committed: pure."""

from collections.abc import Iterable

from cutlass.deploy.changes import Change
from cutlass.deploy.cloud import Caller
from cutlass.deploy.errors import RefusedError
from cutlass.deploy.git import Revision
from cutlass.deploy.model import CLEAN_ENVIRONMENT, OPEN_ENVIRONMENT, Project, Step


def check_account(project: Project, environment: str, caller: Caller) -> None:
    """Refuse credentials of another account, and a bucket of another account's name.

    Raises
    ------
    RefusedError
        The message names both accounts.
    """
    for workspace in project.of(environment):
        if workspace.account != caller.account:
            raise RefusedError(
                f"the credentials are of account {caller.account} ({caller.arn}), and {workspace.name} is in"
                f" account {workspace.account}",
                hint=f"use credentials of {environment}, such as AWS_PROFILE={environment}",
            )
    bucket = project.backends[environment].bucket
    if caller.account not in bucket:
        raise RefusedError(
            f"backend-config-{environment}.hcl keeps state in {bucket}, which is not named after account"
            f" {caller.account}",
            hint=f"correct infra/shared/backend-config-{environment}.hcl: the bucket's name ends in the account",
        )


def check_clean(environment: str, revision: Revision) -> None:
    """Refuse to apply to prod what is not committed.

    Raises
    ------
    RefusedError
        The message names the files.
    """
    if environment != CLEAN_ENVIRONMENT or revision.clean:
        return
    shown = ", ".join(revision.changed[:5]) or "this is no git checkout"
    more = f" and {len(revision.changed) - 5} more" if len(revision.changed) > 5 else ""
    raise RefusedError(
        f"{environment} takes only what is committed: {shown}{more}", hint="commit, or stash what is not meant"
    )


def needs_name(environment: str) -> bool:
    """Tell whether a change of the environment has to be confirmed by its name."""
    return environment != OPEN_ENVIRONMENT


def check_data(step: Step, changes: Iterable[Change], *, allowed: bool) -> None:
    """Refuse a plan that destroys or replaces what holds data, unless that is asked for by name.

    Raises
    ------
    RefusedError
        The message names the resources.
    """
    lost = [change for change in changes if change.loses_data]
    if not lost or allowed:
        return
    shown = ", ".join(f"{change.address} ({change.action})" for change in lost[:6])
    more = f" and {len(lost) - 6} more" if len(lost) > 6 else ""
    raise RefusedError(
        f"the plan of {step} loses data: {shown}{more}", hint="if that is meant, add --destroy-data"
    )


def unreviewed(reviewed: Iterable[Change], now: Iterable[Change]) -> list[Change]:
    """Return what a new plan would do that the reviewed one did not.

    After an apply that failed half-way the rest has to be planned again; it is part of what was reviewed, or it
    has to be looked at.
    """
    known = {(change.address, change.action) for change in reviewed}
    return [change for change in now if (change.address, change.action) not in known]
