"""Whole runs: plan, apply, deploy, destroy, drift over the steps of a target."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from cutlass.deploy.cloud import Caller, Cloud
from cutlass.deploy.errors import DeployError, RefusedError, StalePlanError
from cutlass.deploy.folders import Folders
from cutlass.deploy.git import revision
from cutlass.deploy.graph import Graph, restricted, reversed_graph
from cutlass.deploy.guards import check_account, check_clean
from cutlass.deploy.model import Project, Step
from cutlass.deploy.operations import Operator
from cutlass.deploy.plans import KeptPlan
from cutlass.deploy.records import Listener, Record, operator
from cutlass.deploy.running import GOOD, Outcome, Result, run_graph
from cutlass.deploy.terraform import Terraform
from cutlass.platform.home import locked as file_locked

Results = dict[Step, Result]

_ENDED = GOOD | {Outcome.WAITING}
Confirm = Callable[[Mapping[Step, Result]], bool]
"""Is shown what was planned, and tells whether to go on."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command over the steps of an environment."""

    operator: Operator
    parallel: int
    results: Results = field(default_factory=dict)
    """How each step ended last."""

    @property
    def record(self) -> Record:
        """The run's record."""
        return self.operator.record

    def graph(self, steps: Sequence[Step]) -> Graph:
        """Return the order of the steps."""
        project = self.operator.project
        return restricted(project.dependencies(self.operator.environment), steps)

    def plan(self, steps: Sequence[Step], *, destroy: bool = False) -> Results:
        """Plan every step, all side by side: plans read states and change nothing."""
        free: Graph = {step: frozenset() for step in steps}
        return self._run(free, lambda step: self.operator.plan(step, destroy=destroy))

    def drift(self, steps: Sequence[Step]) -> Results:
        """Look for drift in every step."""
        return self._run({step: frozenset() for step in steps}, self.operator.drift)

    def kept(self, steps: Sequence[Step]) -> Results:
        """Return the plans that are kept for the steps."""
        return {step: self.operator.kept(step) for step in steps}

    def apply(self, planned: Mapping[Step, Result], *, destroy: bool = False, again: bool = False) -> Results:
        """Apply the plans in the order of the graph, reversed for destroying.

        Parameters
        ----------
        planned : mapping
            What `plan` or `kept` returned; steps without a plan are left out.
        destroy : bool
            Whether they are plans to destroy.
        again : bool
            Whether a plan that what came before made stale only waits to be made again.
        """
        plans = {step: result.value for step, result in planned.items() if isinstance(result.value, KeptPlan)}
        graph = self.graph(list(plans))

        def work(step: Step) -> Result:
            if destroy:
                return self._destroy(plans[step])
            try:
                return self.operator.apply(plans[step])
            except StalePlanError as error:
                if again and error.by_reading:
                    return Result(Outcome.WAITING, "what it reads has changed")
                raise

        return self._run(reversed_graph(graph) if destroy else graph, work)

    def deploy(self, steps: Sequence[Step], confirm: Confirm | None) -> Results:
        """Bring every step to where the checkout says.

        With `confirm` what can be planned is planned and shown, applied if so decided, and so on with what waited.
        Without it each step is planned and applied as soon as what it reads is there.
        """
        if confirm is None:
            return self._run(self.graph(steps), self._plan_and_apply)
        results: Results = {}
        left = list(steps)
        while left:
            planned = self.plan(left)
            results |= planned
            ready = {step: result for step, result in planned.items() if result.outcome in GOOD}
            if not ready or self._ended(planned):
                break
            if any(result.outcome is Outcome.PLANNED for result in ready.values()) and not confirm(planned):
                raise RefusedError("nothing was applied", hint="the plans are kept: `cutlass apply` applies them")
            results |= self.apply(ready, again=True)
            if self._ended(results):
                break
            before, left = left, [step for step in left if results[step].outcome not in GOOD]
            if left == before:
                break
        return results

    def _plan_and_apply(self, step: Step) -> Result:
        planned = self.operator.plan(step)
        if not isinstance(planned.value, KeptPlan):
            return planned
        return self.operator.apply(planned.value)

    def _destroy(self, kept: KeptPlan) -> Result:
        step = kept.step
        if not self.operator.release(step):
            return self.operator.apply(kept)
        # The release changed the state, so the plan is made once more.
        fresh = self.operator.plan(step, destroy=True)
        return self.operator.apply(fresh.value) if isinstance(fresh.value, KeptPlan) else fresh

    @staticmethod
    def _ended(results: Mapping[Step, Result]) -> bool:
        return any(result.outcome in (Outcome.FAILED, Outcome.STOPPED) for result in results.values())

    def _run(self, graph: Graph, work: Callable[[Step], Result]) -> Results:
        def begin(step: Step) -> Result:
            self.record.show("step_started", step=str(step))
            return work(step)

        def ended(step: Step, result: Result) -> None:
            plan = result.value if isinstance(result.value, KeptPlan) else None
            extra = {} if plan is None else {"plan_sha256": plan.sha256, "commit": plan.commit}
            self.results[step] = result
            self.record("step_ended", step=str(step), outcome=str(result.outcome), detail=result.detail, **extra)

        terraform = self.operator.terraform
        with _interrupts(terraform, self.record):
            return run_graph(graph, begin, parallel=self.parallel, stopping=terraform.stopping.is_set, ended=ended)


@contextmanager
def open_run(
    root: Path,
    project: Project,
    environment: str,
    *,
    command: str,
    target: str,
    parallel: int,
    changes: bool,
    destroy_data: bool = False,
    variables: Sequence[str] = (),
    needs_bucket: bool = True,
    profile: str | None = None,
    listener: Listener | None = None,
) -> Iterator[Run]:
    """Begin a run: check whose credentials these are before anything else, and leave a record of how it ends.

    Parameters
    ----------
    changes : bool
        Whether it may change anything in AWS.
    needs_bucket : bool
        Whether bootstrap must have made the bucket of states.

    Raises
    ------
    RefusedError
        The credentials are another account's, or prod would get what is not committed.
    DeployError
        Another run is under way from this checkout, or bootstrap is missing.
    """
    cloud = Cloud(profile)
    caller = check_credentials(cloud, project, environment)
    backend = project.backends[environment]
    if needs_bucket and not cloud.bucket_exists(backend, caller.account):
        raise DeployError(
            f"account {caller.account} has no bucket {backend.bucket} for its states",
            hint=f"make it first: `cutlass bootstrap {environment}`",
        )
    found = revision(root)
    if changes:
        check_clean(environment, found)
    folders = Folders(root)
    folders.ensure()
    with file_locked(folders.lock(environment)) as held:
        if not held:
            raise DeployError(
                f"another run in {environment} is under way from this checkout",
                hint="wait for it; `cutlass envs` shows what is locked",
            )
        record = Record(folders.runs, listener)
        terraform = Terraform.open(folders, record.run)
        who = {"who": operator(), "arn": caller.arn, "account": caller.account}
        record("run_started", command=command, target=target, commit=found.commit, clean=found.clean, **who)
        hands = Operator(
            project,
            environment,
            folders,
            cloud,
            caller,
            terraform,
            record,
            found,
            destroy_data=destroy_data,
            variables=tuple(variables),
        )
        run, ended = Run(hands, parallel), False
        try:
            yield run
            ended = all(result.outcome in _ENDED for result in run.results.values())
        finally:
            interrupted = terraform.stopping.is_set()
            record("run_ended", result="interrupted" if interrupted else "done" if ended else "failed")


def check_credentials(cloud: Cloud, project: Project, environment: str) -> Caller:
    """Return whose credentials are in use; RefusedError if they are not the environment's."""
    caller = cloud.caller(project.home(environment).aws_region)
    check_account(project, environment, caller)
    return caller


@contextmanager
def _interrupts(terraform: Terraform, record: Record) -> Iterator[None]:
    """Pass Ctrl-C and SIGTERM on to Terraform once, and wait for it."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if terraform.interrupt():
            record.show("interrupting", detail="finishing what is under way; nothing new is begun")
        else:
            record.show("interrupting", detail="still waiting for Terraform: it is writing down what it made")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
