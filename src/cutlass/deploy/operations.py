"""Plans and applies single steps, with everything a run needs around them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutlass.deploy.cloud import Caller, Cloud
from cutlass.deploy.errors import InterruptedRunError, LockedError, RefusedError, TerraformError
from cutlass.deploy.events import Told
from cutlass.deploy.folders import Folders
from cutlass.deploy.git import Revision
from cutlass.deploy.guards import check_data, unreviewed
from cutlass.deploy.inputs import digests, packages
from cutlass.deploy.model import BOOTSTRAP, OPEN_ENVIRONMENT, Backend, Project, Step
from cutlass.deploy.plans import PLAN_FILE, Basis, KeptPlan, drop, keep, kept_plan, own_state, workplace
from cutlass.deploy.records import Record, now, operator, stamp
from cutlass.deploy.running import Outcome, Result
from cutlass.deploy.states import Lock, State
from cutlass.deploy.terraform import Ended, Terraform

_ALLOW_LOSS = "-var=allow_data_destruction=true"
_APPLY_TRIES = 3
_CHANGES = 2
_RESOURCES_AT_ONCE = 40  # most of an apply is waiting until AWS has spread a change: Terraform's ten wait in turns


@dataclass(frozen=True, slots=True)
class Operator:
    """The hands of a run in one environment: every method does one thing to one step.

    `destroy_data` says that what holds data may be destroyed or replaced.
    """

    project: Project
    environment: str
    folders: Folders
    cloud: Cloud
    caller: Caller
    terraform: Terraform
    record: Record
    revision: Revision
    destroy_data: bool = False
    variables: tuple[str, ...] = ()
    """Values beside the variable file's, as NAME=VALUE: for drills."""

    @property
    def backend(self) -> Backend:
        """Where the environment keeps its states."""
        return self.project.backends[self.environment]

    def reads(self, step: Step) -> frozenset[Step]:
        """Return the steps whose states a step reads."""
        return self.project.dependencies(self.environment).get(step, frozenset())

    def plan(self, step: Step, *, destroy: bool = False) -> Result:
        """Plan a step and keep the plan.

        Returns
        -------
        Result
            PLANNED or UNCHANGED with the kept plan, or WAITING with what is missing.
        """
        states = {one: self.cloud.state(self.backend, one) for one in {step, *self.reads(step)}}
        own = states[step]
        if destroy and (own is None or own.empty):
            drop(self.folders.plan(step))
            return Result(Outcome.UNCHANGED, "nothing to destroy")
        missing = [one for one in sorted(self.reads(step)) if not _readable(states[one])]
        if missing and not destroy:
            drop(self.folders.plan(step))
            return Result(Outcome.WAITING, f"waits for {', '.join(map(str, missing))}")
        kept = self._plan(step, states, self._options(destroy=destroy))
        return Result(Outcome.PLANNED if kept.pending else Outcome.UNCHANGED, kept.words, kept)

    def kept(self, step: Step) -> Result:
        """Return the plan kept for a step, as `plan` would."""
        kept = kept_plan(self.folders.plan(step))
        if kept is None:
            return Result(Outcome.WAITING, "no plan is kept")
        if kept.account != self.caller.account:
            raise RefusedError(f"the plan of {step} is for account {kept.account}", hint="plan again")
        return Result(Outcome.PLANNED if kept.pending else Outcome.UNCHANGED, kept.words, kept)

    def apply(self, kept: KeptPlan) -> Result:
        """Apply a kept plan, if nothing it was made from has changed, and note what is deployed.

        Where it fails for a reason that goes away, the rest is planned again and applied, so long as that is part
        of what was reviewed.
        """
        step = kept.step
        self._check_lock(step)
        kept.check(self.basis(step, kept.basis.options))
        check_data(step, kept.changes, allowed=self.destroy_data)
        if kept.pending:
            self._apply(kept)
        self._note(kept)
        drop(self.folders.plan(step))
        return Result(Outcome.APPLIED if kept.pending else Outcome.UNCHANGED, kept.words, kept)

    def release(self, step: Step) -> bool:
        """Take the protection off what holds data, the first of the two steps by which it is destroyed.

        Returns whether there was anything to do: in dev nothing is protected.
        """
        if self.environment == OPEN_ENVIRONMENT or not self.destroy_data:
            return False
        states = {one: self.cloud.state(self.backend, one) for one in {step, *self.reads(step)}}
        kept = self._plan(step, states, (_ALLOW_LOSS,))
        check_data(step, kept.changes, allowed=False)
        if kept.pending:
            self._apply(kept)
        drop(self.folders.plan(step))
        return kept.pending

    def drift(self, step: Step) -> Result:
        """Compare what is deployed with what is in AWS, changing nothing.

        What differs from the state is taken for drift only where a plan would put it back: a refresh alone also
        tells what other resources of ours did, as rules do to their security group. Where the checkout is what is
        deployed, everything a plan would change is drift.
        """
        state = self.cloud.state(self.backend, step)
        if state is None or state.empty:
            return Result(Outcome.UNCHANGED, "never deployed", ())
        note = self.cloud.read_note(self.backend, f"{step.workspace}/{step.layer}") or {}
        deployed_is_here = note.get("files") == digests(self.folders.root, step)
        self._check_lock(step)
        self.prepare(step)
        ended = self.terraform.again(
            lambda: self._call(step, "drift", ["plan", "-lock=false", *self._always(step)])
        )
        self._raise_if_failed(step, "looking for drift", ended)
        told = ended.told
        differing = {change.address for change in told.drift}
        found = tuple(change for change in told.changes if deployed_is_here or change.address in differing)
        if found:
            return Result(Outcome.PLANNED, f"{len(found)} to put back", found)
        return Result(Outcome.UNCHANGED, "no drift", ())

    def basis(self, step: Step, options: Sequence[str]) -> Basis:
        """Return what a plan of the step would be made from now."""
        states = {one: self.cloud.state(self.backend, one) for one in {step, *self.reads(step)}}
        return self._basis(step, states, options)

    def prepare(self, step: Step) -> None:
        """Initialise a step's data folder; that of bootstrap is, before its state is known to be anywhere."""
        if step.layer != BOOTSTRAP:
            self.terraform.init(step, f"-backend-config=backend-config-{self.environment}.hcl")

    def lock(self, step: Step) -> Lock | None:
        """Return who holds the state of a step."""
        return self.cloud.lock(self.backend, step)

    def _plan(self, step: Step, states: Mapping[Step, State | None], options: Sequence[str]) -> KeptPlan:
        self._check_lock(step)
        basis = self._basis(step, states, options)
        self.record.show("step_planning", step=str(step))
        self.prepare(step)
        folder = self.folders.plan(step)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = workplace(folder)
        try:
            arguments = ["plan", *self._always(step), "-detailed-exitcode", f"-out={made / PLAN_FILE}", *options]
            ended = self.terraform.again(lambda: self._call(step, "plan", arguments))
            if ended.code not in (0, _CHANGES):
                self._raise_if_failed(step, "the plan", ended)
            return keep(
                folder,
                made,
                step=step,
                commit=self.revision.commit,
                account=self.caller.account,
                moment=stamp(now()),
                by=operator(),
                basis=basis,
                changes=ended.told.changes,
                pending=ended.code == _CHANGES,
            )
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _apply(self, kept: KeptPlan) -> None:
        step, plan = kept.step, kept
        for tries_left in reversed(range(_APPLY_TRIES)):
            self.record("step_applying", step=str(step), plan_sha256=plan.sha256, changes=plan.words)
            ended = self._call(
                step,
                "apply",
                ["apply", "-json", "-input=false", f"-parallelism={_RESOURCES_AT_ONCE}", str(plan.path)],
                plan=plan,
            )
            if ended.code == 0:
                return
            self._keep_errored_state(step)
            if not ended.transient or not tries_left or self.terraform.stopping.is_set():
                self._raise_if_failed(step, "the apply", ended)
            self.record("step_retried", step=str(step), reason=ended.reason)
            plan = self._rest(kept)
            if not plan.pending:
                return

    def _rest(self, kept: KeptPlan) -> KeptPlan:
        """Plan again what a failed apply left, and refuse it if it is more than was reviewed."""
        step = kept.step
        states = {one: self.cloud.state(self.backend, one) for one in {step, *self.reads(step)}}
        plan = self._plan(step, states, kept.basis.options)
        more = unreviewed(kept.changes, plan.changes)
        if more:
            shown = ", ".join(f"{change.address} ({change.action})" for change in more[:6])
            raise RefusedError(
                f"the rest of {step} has changes that were not reviewed: {shown}",
                hint=f"look at them: `cutlass plan {step.workspace}/{step.layer[:3]}`",
            )
        return plan

    def _note(self, kept: KeptPlan) -> None:
        """Write down beside the states what is deployed now, for every operator to see."""
        step = kept.step
        name = f"{step.workspace}/{step.layer}"
        if kept.destroys:
            self.cloud.delete_note(self.backend, name)
        else:
            files = dict(kept.basis.files)
            facts: dict[str, Any] = {
                "commit": kept.commit,
                "clean": self.revision.clean,
                "files": files,
                "packages": packages(files),
                "options": list(kept.basis.options),
                "by": operator(),
                "arn": self.caller.arn,
                "at": stamp(now()),
                "run": self.record.run,
                "plan_sha256": kept.sha256,
            }
            self.cloud.write_note(self.backend, name, facts)

    def _call(self, step: Step, command: str, arguments: list[str], plan: KeptPlan | None = None) -> Ended:
        if self.terraform.stopping.is_set():
            raise InterruptedRunError("not begun")
        of = len(plan.changes) if plan is not None else 0

        def watch(told: Told) -> None:
            self.record.show("step_progress", step=str(step), done=len(told.done), of=of, doing=told.doing[:3])

        return self.terraform.call(step, command, arguments, watch if plan is not None else None)

    def _options(self, *, destroy: bool) -> tuple[str, ...]:
        given = tuple(f"-var={variable}" for variable in self.variables)
        if not destroy:
            return given
        return (*given, "-destroy", _ALLOW_LOSS) if self.destroy_data else (*given, "-destroy")

    @staticmethod
    def _always(step: Step) -> list[str]:
        return ["-json", "-input=false", f"-var-file=vars/{step.workspace}.tfvars"]

    def _basis(self, step: Step, states: Mapping[Step, State | None], options: Sequence[str]) -> Basis:
        outputs = {
            str(one): state.outputs_digest for one, state in states.items() if one != step and state is not None
        }
        return Basis(digests(self.folders.root, step), own_state(states[step]), outputs, tuple(options))

    def _check_lock(self, step: Step) -> None:
        lock = self.lock(step)
        if lock is not None:
            raise locked(step, lock)

    def _raise_if_failed(self, step: Step, what: str, ended: Ended) -> None:
        if ended.code in (0, _CHANGES) and not ended.told.errors:
            return
        if self.terraform.stopping.is_set():
            raise InterruptedRunError(f"{what} was stopped; what was made is in the state")
        if ended.told.lock is not None:
            raise locked(step, ended.told.lock)
        more = f" (and {len(ended.told.errors) - 1} more errors)" if len(ended.told.errors) > 1 else ""
        log = self.folders.home.relative_to(self.folders.root) / "logs" / self.record.run
        raise TerraformError(f"{what} failed: {ended.reason}{more}", hint=f"all Terraform said is in {log}")

    def _keep_errored_state(self, step: Step) -> None:
        """Put aside the state that Terraform leaves in the layer's folder when the bucket does not take it."""
        left = self.folders.layer(step) / "errored.tfstate"
        if not left.exists():
            return
        kept = self.folders.data(step) / "errored.tfstate"
        left.replace(kept)
        layer = f"infra/{step.layer}"
        raise TerraformError(
            f"the state of {step} could not be written to the bucket; it is kept in {kept}",
            hint=f"in {layer}: TF_DATA_DIR={self.folders.data(step)} TF_WORKSPACE={step.workspace} terraform state"
            f" push {kept}",
        )


def locked(step: Step, lock: Lock) -> LockedError:
    """Return the error of a state that another run holds: who, for how long, and what to do."""
    target = f"{step.workspace}/{step.layer[:3]}"
    return LockedError(
        f"{step} is locked: {lock.words(now())}",
        hint=f"wait for that run; if it is dead, and only then: `cutlass unlock {target} {lock.id or 'LOCK'}`",
    )


def _readable(state: State | None) -> bool:
    return state is not None and state.applied
