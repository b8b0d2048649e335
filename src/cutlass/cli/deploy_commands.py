"""Commands that change what is deployed: bootstrap, plan, apply, deploy, destroy, promote, unlock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cutlass.cli.options import Json, Yes

if TYPE_CHECKING:
    from cutlass.cli.deploy_views import Watcher
    from cutlass.deploy.model import Step
    from cutlass.deploy.operations import Operator
    from cutlass.deploy.running import Result
    from cutlass.deploy.runs import Results, Run
    from cutlass.deploy.targets import Target

PENDING_EXIT_CODE = 3

Where = Annotated[str, typer.Argument(metavar="TARGET", help="dev, dev-london or dev-london/200.")]
Env = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="An environment, such as dev; `envs` shows all.")]
Layers = Annotated[list[str] | None, typer.Option("--layer", help="Only this layer; may be repeated.")]
Affected = Annotated[
    str | None,
    typer.Option(
        "--affected",
        metavar="[BASE]",
        help="Only what differs from the commit BASE; from what is deployed if BASE is left out.",
    ),
]
Named = Annotated[
    str | None, typer.Option("--confirm", metavar="NAME", help="The environment's name, where it is protected.")
]
Parallel = Annotated[int, typer.Option("--parallel", min=1, max=32, help="How many steps side by side.")]
Variables = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="A value beside the variable file's, for a drill."),
]
DestroyData = Annotated[bool, typer.Option("--destroy-data", help="Also what holds data.")]
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that has begun, what it is about, and who shows it."""

    run: "Run"
    target: "Target"
    steps: "tuple[Step, ...]"
    watcher: "Watcher"


def plan(
    target: Where,
    *,
    layer: Layers = None,
    affected: Affected = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to destroy everything.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="End with 3 when there are changes.")
    ] = False,
    destroy_data: DestroyData = False,
    var: Variables = None,
    parallel: Parallel = _PARALLEL,
    as_json: Json = False,
) -> None:
    """Plan what differs from the checkout, show it, and keep the plans for `apply`."""
    from cutlass.deploy.running import Outcome  # noqa: PLC0415

    with opened_run(
        "plan", target, layer, affected, parallel, destroy_data=destroy_data, variables=var, as_json=as_json
    ) as opened:
        planned = opened.run.plan(opened.steps, destroy=destroy)
        _show(opened, planned, as_json=as_json)
    end(planned, waiting_is_failure=False)
    pending = {Outcome.PLANNED, Outcome.WAITING}
    if detailed_exitcode and any(result.outcome in pending for result in planned.values()):
        raise typer.Exit(PENDING_EXIT_CODE)


def apply(
    target: Where,
    *,
    layer: Layers = None,
    yes: Yes = False,
    confirm: Named = None,
    destroy_data: DestroyData = False,
    parallel: Parallel = _PARALLEL,
    as_json: Json = False,
) -> None:
    """Apply the plans that `plan` made and showed; refuse those that anything has changed under."""
    with opened_run(
        "apply", target, layer, None, parallel, changes=True, destroy_data=destroy_data, as_json=as_json
    ) as opened:
        planned = _planned(opened.run.kept(opened.steps), target)
        destroys = {result.value.destroys for result in planned.values()}
        if len(destroys) > 1:
            raise typer.BadParameter(f"some plans of {target} destroy, others do not: plan again")
        _agree(opened, planned, yes=yes, name=confirm, as_json=as_json)
        results = {**planned, **opened.run.apply(planned, destroy=destroys == {True})}
        _show(opened, results, as_json=as_json)
    end(results)


def deploy(
    target: Where,
    *,
    layer: Layers = None,
    affected: Affected = None,
    yes: Yes = False,
    confirm: Named = None,
    destroy_data: DestroyData = False,
    var: Variables = None,
    parallel: Parallel = _PARALLEL,
    as_json: Json = False,
) -> None:
    """Plan and apply everything that differs from the checkout, in order."""
    with opened_run(
        "deploy",
        target,
        layer,
        affected,
        parallel,
        changes=True,
        destroy_data=destroy_data,
        variables=var,
        as_json=as_json,
    ) as opened:
        results = _deploy(opened, yes=yes, name=confirm, as_json=as_json)
    end(results)


def destroy(
    target: Where,
    *,
    layer: Layers = None,
    yes: Yes = False,
    confirm: Named = None,
    destroy_data: DestroyData = False,
    parallel: Parallel = _PARALLEL,
    as_json: Json = False,
) -> None:
    """Destroy what is deployed, in reverse; what holds data only with --destroy-data."""
    from cutlass.deploy.guards import check_data  # noqa: PLC0415
    from cutlass.deploy.plans import KeptPlan  # noqa: PLC0415

    with opened_run(
        "destroy", target, layer, None, parallel, changes=True, destroy_data=destroy_data, as_json=as_json
    ) as opened:
        planned = opened.run.plan(opened.steps, destroy=True)
        end(planned)
        for step, result in planned.items():
            if isinstance(result.value, KeptPlan):
                check_data(step, result.value.changes, allowed=destroy_data)
        _agree(opened, planned, yes=yes, name=confirm, as_json=as_json)
        results = {**planned, **opened.run.apply(planned, destroy=True)}
        _show(opened, results, as_json=as_json)
    end(results)


def bootstrap(
    environment: Env,
    *,
    yes: Yes = False,
    confirm: Named = None,
    as_json: Json = False,
) -> None:
    """Make the bucket of all state of an environment's account, and move bootstrap's own state into it."""
    from cutlass.deploy.bootstrapping import move_state, open_bootstrap  # noqa: PLC0415
    from cutlass.deploy.running import Outcome, Result  # noqa: PLC0415

    with opened_run(
        "bootstrap", environment, None, None, 1, changes=True, needs_bucket=False, as_json=as_json
    ) as opened:
        hands = opened.run.operator
        step = open_bootstrap(hands)
        planned = opened.run.plan([step])
        end(planned)
        if planned[step].outcome is Outcome.PLANNED:
            _agree(opened, planned, yes=yes, name=confirm, as_json=as_json)
        results = {**planned, **opened.run.apply(planned)}
        if results[step].outcome in (Outcome.APPLIED, Outcome.UNCHANGED) and move_state(hands, step):
            results[step] = Result(Outcome.APPLIED, "its state is in the bucket", results[step].value)
        _show(opened, results, as_json=as_json)
    end(results)


def promote(
    environment: Env,
    *,
    source: Annotated[str, typer.Option("--from", help="The environment that runs it.")],
    from_profile: Annotated[
        str | None, typer.Option("--from-profile", help="AWS profile with credentials of that environment.")
    ] = None,
    yes: Yes = False,
    confirm: Named = None,
    parallel: Parallel = _PARALLEL,
    as_json: Json = False,
) -> None:
    """Deploy what another environment runs and has passed `cutlass smoke` with: that commit, those packages."""
    from cutlass.cli.output import print_line  # noqa: PLC0415
    from cutlass.deploy.promotion import check_checkout, running_in  # noqa: PLC0415

    with opened_run("promote", environment, None, None, parallel, changes=True, as_json=as_json) as opened:
        hands = opened.run.operator
        release = running_in(hands.project, source, profile=from_profile)
        check_checkout(hands.folders.root, hands.project, environment, release, hands.revision)
        if not as_json:
            print_line(f"{source} runs {release.commit[:12]}, which passed smoke at {release.smoked_at}")
        results = _deploy(opened, yes=yes, name=confirm, as_json=as_json)
    end(results)


def unlock(
    target: Where,
    lock: Annotated[str, typer.Argument(metavar="LOCK", help="The id of the lock, as the refusal shows it.")],
    *,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Break the lock of one state, whose holder is known to be dead."""
    from cutlass.cli.ask import confirm as ask  # noqa: PLC0415
    from cutlass.cli.output import print_json, print_line  # noqa: PLC0415
    from cutlass.deploy.errors import RefusedError  # noqa: PLC0415
    from cutlass.deploy.records import now  # noqa: PLC0415

    with opened_run("unlock", target, None, None, 1, as_json=as_json) as opened:
        if len(opened.steps) != 1:
            raise typer.BadParameter(f"{target} has several states: name one, such as dev-london/100")
        step, hands = opened.steps[0], opened.run.operator
        held = hands.lock(step)
        if held is None:
            raise RefusedError(f"{step} is not locked")
        if held.id != lock:
            raise RefusedError(f"{step} is {held.words(now())}, which is not {lock}")
        ask(
            f"{step} is {held.words(now())}. Break it? Whoever still works there would lose what it does.", yes=yes
        )
        hands.cloud.unlock(hands.backend, step)
        hands.record("unlocked", step=str(step), lock=held.id, holder=held.who)
    if as_json:
        print_json({"event": "result", "unlocked": str(step), "holder": held.who})
    else:
        print_line(f"{step} is unlocked")


@contextmanager
def opened_run(
    command: str,
    target: str,
    layers: list[str] | None,
    affected: str | None,
    parallel: int,
    *,
    changes: bool = False,
    destroy_data: bool = False,
    variables: list[str] | None = None,
    needs_bucket: bool = True,
    as_json: bool,
) -> Iterator[Opened]:
    """Begin a run over the steps of a target, shown as it goes; ends with 130 where Ctrl-C came."""
    from cutlass.cli.deploy_views import Watcher  # noqa: PLC0415
    from cutlass.deploy.runs import open_run  # noqa: PLC0415
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415
    from cutlass.deploy.targets import parse_target  # noqa: PLC0415

    root = find_root()
    project = load_project(root)
    found = parse_target(target, project, layers or ())
    with (
        Watcher(as_json=as_json) as watcher,
        open_run(
            root,
            project,
            found.environment,
            command=command,
            target=target,
            parallel=parallel,
            changes=changes,
            destroy_data=destroy_data,
            variables=variables or (),
            needs_bucket=needs_bucket,
            listener=watcher,
        ) as run,
    ):
        steps = found.steps if affected is None else _affected(run.operator, found.steps, affected)
        yield Opened(run, found, steps, watcher)
        if run.operator.terraform.stopping.is_set():
            raise KeyboardInterrupt


def _affected(hands: "Operator", steps: "tuple[Step, ...]", base: str) -> "tuple[Step, ...]":
    from cutlass.deploy.selection import affected  # noqa: PLC0415

    notes = {step: hands.cloud.read_note(hands.backend, f"{step.workspace}/{step.layer}") for step in steps}
    found = affected(hands.folders.root, steps, base, notes)
    for step, reasons in found.items():
        hands.record.show("step_affected", step=str(step), reasons=reasons)
    return tuple(step for step in steps if step in found)


def _deploy(opened: Opened, *, yes: bool, name: str | None, as_json: bool) -> "Results":
    from cutlass.deploy.guards import needs_name  # noqa: PLC0415

    environment = opened.target.environment
    if yes and not needs_name(environment):
        results = opened.run.deploy(opened.steps, None)
    else:

        def confirm(planned: "Mapping[Step, Result]") -> bool:
            _agree(opened, planned, yes=yes, name=name, as_json=as_json)
            return True

        results = opened.run.deploy(opened.steps, confirm)
    _show(opened, results, as_json=as_json)
    return results


def _agree(
    opened: Opened, planned: "Mapping[Step, Result]", *, yes: bool, name: str | None, as_json: bool
) -> None:
    """Show what was planned, and ask: for the environment's name where it is protected."""
    from cutlass.cli.ask import confirm, confirm_name  # noqa: PLC0415
    from cutlass.deploy.guards import needs_name  # noqa: PLC0415

    environment = opened.target.environment
    if not as_json:
        _show(opened, planned, as_json=False)
    if needs_name(environment):
        confirm_name(environment, name)
    else:
        confirm(f"Apply this to {environment}?", yes=yes)


def _show(opened: Opened, results: "Mapping[Step, Result]", *, as_json: bool) -> None:
    from cutlass.cli.deploy_views import plans_as_dict, show_plans  # noqa: PLC0415
    from cutlass.cli.output import print_line  # noqa: PLC0415

    if as_json:
        opened.watcher.result = plans_as_dict(results)
        return
    opened.watcher.pause()
    if results:
        show_plans(results)
    else:
        print_line("nothing is affected")


def _planned(kept: "Mapping[Step, Result]", target: str) -> "Results":
    """Return the steps a plan is kept for: the others were not affected, or wait for these."""
    from cutlass.deploy.errors import DeployError  # noqa: PLC0415

    found = {step: result for step, result in kept.items() if result.value is not None}
    if not found:
        raise DeployError(
            f"no plan is kept for {target}", hint=f"make one and look at it: `cutlass plan {target}`"
        )
    return found


def end(results: "Mapping[Step, Result]", *, waiting_is_failure: bool = True) -> None:
    """End with 1 where a step failed, and with 130 where it was stopped."""
    from cutlass.cli.output import print_error  # noqa: PLC0415
    from cutlass.deploy.running import Outcome  # noqa: PLC0415

    bad = {Outcome.FAILED, Outcome.BLOCKED} | ({Outcome.WAITING} if waiting_is_failure else set())
    failed = {step: result for step, result in results.items() if result.outcome in bad}
    for step, result in failed.items():
        print_error(f"{step} {result.outcome}: {result.detail}")
    if any(result.outcome is Outcome.STOPPED for result in results.values()):
        raise KeyboardInterrupt
    if failed:
        raise typer.Exit(1)
