"""Bootstrap: the layer that makes the bucket its own state then moves into.

It is worked on in a copy of the folder, for which backend it has is written in its files, and one checkout serves
several accounts.
"""

import os
import shutil
from pathlib import Path

from cutlass.deploy.errors import DeployError, TerraformError
from cutlass.deploy.folders import Folders
from cutlass.deploy.model import BOOTSTRAP, Step
from cutlass.deploy.operations import Operator

_OVERRIDE = "backend_override.tf"


def bootstrap_step(hands: Operator) -> Step:
    """Return the step of an environment's account: bootstrap in the home workspace."""
    return Step(BOOTSTRAP, hands.project.home(hands.environment).name)


def open_bootstrap(hands: Operator) -> Step:
    """Make the working copy ready, with the state in the bucket if it is there, else with a local one.

    Raises
    ------
    DeployError
        The bucket is there, and its state neither in it nor here: another machine is in the middle of it.
    """
    step = bootstrap_step(hands)
    copy_layer(hands.folders, step)
    if hands.cloud.state(hands.backend, step) is not None:
        _use_bucket(hands, step, migrate=False)
        return step
    if hands.cloud.bucket_exists(hands.backend, hands.caller.account) and local_state(hands.folders, step) is None:
        raise DeployError(
            f"the bucket {hands.backend.bucket} is there, and the state of bootstrap is neither in it nor here",
            hint="if someone else bootstraps this account, wait; else restore it from the bucket's versions",
        )
    (hands.folders.layer(step) / _OVERRIDE).unlink(missing_ok=True)
    hands.terraform.init(step, f"-backend-config=backend-config-{hands.environment}.hcl")
    return step


def move_state(hands: Operator, step: Step) -> bool:
    """Move a local state into the bucket that it made; tell whether it had to be moved.

    A run that was killed before this is found again here: the local state is kept until the bucket has it.

    Raises
    ------
    TerraformError
        It could not be moved; the local state is still there.
    """
    local = local_state(hands.folders, step)
    if local is None or hands.cloud.state(hands.backend, step) is not None:
        return False
    _use_bucket(hands, step, migrate=True)
    if hands.cloud.state(hands.backend, step) is None:
        raise TerraformError(f"the state of {step} did not reach the bucket", hint=f"it is kept in {local}")
    shutil.rmtree(local.parents[1], ignore_errors=True)
    return True


def local_state(folders: Folders, step: Step) -> Path | None:
    """Return the state file of a bootstrap that is not in the bucket yet; None if there is none."""
    found = sorted((folders.layer(step) / "state").glob(f"*/{step.workspace}/terraform.tfstate"))
    return found[0] if found else None


def copy_layer(folders: Folders, step: Step) -> None:
    """Copy what bootstrap reads, following links; a state in the copy stays."""
    place = folders.bootstrap(step)
    shutil.copytree(folders.root / "contracts", place / "contracts", dirs_exist_ok=True)
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests", "state")
    shutil.copytree(folders.root / "infra" / BOOTSTRAP, folders.layer(step), dirs_exist_ok=True, ignore=left)
    place.chmod(0o700)


def _use_bucket(hands: Operator, step: Step, *, migrate: bool) -> None:
    folder = hands.folders.layer(step)
    shutil.copy(folder / f"{_OVERRIDE}.example", folder / _OVERRIDE)
    shared = hands.folders.root / "infra" / "shared" / f"backend-config-{hands.environment}.hcl"
    config = f"-backend-config={os.path.relpath(shared, folder)}"
    if not migrate:
        hands.terraform.init(step, config)
        return
    options = ["init", "-input=false", "-no-color", "-migrate-state", "-force-copy", config]
    ended = hands.terraform.call(step, "migrate", options)
    if ended.code != 0:
        raise TerraformError(f"the state of {step} could not be moved into the bucket: {ended.reason}")
