"""Commands that look at what is deployed: envs, drift, outputs, logs, cost, doctor, graph, smoke."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutlass.cli.deploy_commands import (
    PENDING_EXIT_CODE,
    Env,
    Layers,
    Parallel,
    Where,
    end,
    opened_run,
)
from cutlass.cli.options import Json
from cutlass.cli.output import print_error, print_json, print_line, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from cutlass.deploy.model import Project
    from cutlass.deploy.smoke import Finding

Profile = Annotated[str | None, typer.Option("--profile", help="AWS profile of the environment's account.")]


def envs(
    *,
    environment: Annotated[str | None, typer.Option("--env", help="Only this one.")] = None,
    as_json: Json = False,
) -> None:
    """Show environments, regions and layers, and where each stands."""
    from cutlass.deploy.cloud import Cloud  # noqa: PLC0415
    from cutlass.deploy.errors import DeployError  # noqa: PLC0415
    from cutlass.deploy.standing import standings  # noqa: PLC0415
    from cutlass.deploy.targets import parse_environment  # noqa: PLC0415

    root, project = _project()
    chosen = [parse_environment(environment, project)] if environment else project.environments
    found: list[dict[str, Any]] = []
    unknown: dict[str, str] = {}
    for name in chosen:
        try:
            found += [{"environment": name, **one.as_dict()} for one in standings(root, project, name, Cloud())]
        except DeployError as error:
            unknown[name] = error.message
    if as_json:
        print_json({"steps": found, "unknown": unknown})
        return
    if found:
        names = [f"{one['workspace']}/{one['layer']}" for one in found]
        rows = [
            [name, one["state"], (one["commit"] or "")[:12], one["at"] or ""]
            for name, one in zip(names, found, strict=True)
        ]
        print_table("", ["step", "state", "commit", "at"], rows, lines=False)
        for name, one in zip(names, found, strict=True):
            for detail in filter(None, [one["detail"], one["lock"] and f"locked, {one['lock']}"]):
                print_line(f"{name}: {detail}")
    for name, reason in unknown.items():
        print_line(f"{name}: not known: {reason}")


def drift(target: Where, *, layer: Layers = None, parallel: Parallel = 4, as_json: Json = False) -> None:
    """Look for changes made outside Terraform; ends with 3 where there are any."""
    from cutlass.deploy.records import now, stamp  # noqa: PLC0415

    with opened_run("drift", target, layer, None, parallel, as_json=as_json) as opened:
        results = opened.run.drift(opened.steps)
        hands = opened.run.operator
        for step, result in results.items():
            if result.value is not None:
                note = {"at": stamp(now()), "changes": [change.as_dict() for change in result.value]}
                hands.cloud.write_note(hands.backend, f"{step.workspace}/{step.layer}.drift", note)
        opened.watcher.pause()
    found = [(step, change) for step, result in results.items() for change in result.value or ()]
    if as_json:
        print_json(
            {"event": "result", "drift": [{"step": str(step)} | change.as_dict() for step, change in found]}
        )
    else:
        for step, change in found:
            print_line(f"{step}: {change.action} {change.address}")
        print_line(f"{len(found)} to put back: `cutlass plan {target}` shows how" if found else "no drift")
    end(results)
    if found:
        raise typer.Exit(PENDING_EXIT_CODE)


def outputs(
    target: Where,
    *,
    layer: Layers = None,
    name: Annotated[str | None, typer.Option("--name", help="Print this output's value alone.")] = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Print what the deployed layers tell; secrets are left out unless asked for by --name."""
    from cutlass.deploy.cloud import Cloud  # noqa: PLC0415
    from cutlass.deploy.errors import DeployError  # noqa: PLC0415
    from cutlass.deploy.runs import check_credentials  # noqa: PLC0415
    from cutlass.deploy.targets import parse_target  # noqa: PLC0415

    _, project = _project()
    found = parse_target(target, project, layer or ())
    cloud = Cloud(profile)
    check_credentials(cloud, project, found.environment)
    values: dict[str, dict[str, Any]] = {}
    for step in found.steps:
        state = cloud.state(project.backends[found.environment], step)
        shown = {} if state is None else dict(state.outputs)
        if name is None and state is not None:
            shown = {key: "(secret)" if key in state.sensitive else value for key, value in shown.items()}
        values[str(step)] = shown
    if name is not None:
        matching = [shown[name] for shown in values.values() if name in shown]
        if len(matching) != 1:
            count = "no layer" if not matching else f"{len(matching)} layers"
            raise DeployError(
                f"{count} of {target} told an output {name}", hint="`cutlass outputs` shows them all"
            )
        print_line(matching[0] if isinstance(matching[0], str) and not as_json else _json(matching[0]))
    elif as_json:
        print_json(values)
    else:
        for step_name, shown in values.items():
            for key, value in shown.items():
                print_line(f"{step_name} {key} = {value if isinstance(value, str) else _json(value)}")


def logs(
    function: Annotated[str, typer.Argument(help="A function's name, or api for the access log.")],
    *,
    environment: Annotated[str, typer.Option("--env", help="The environment.")] = "dev",
    region: Annotated[str | None, typer.Option("--region", help="The home region if left out.")] = None,
    since: Annotated[int, typer.Option("--since", min=1, help="From how many minutes ago.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Print a function's log lines."""
    from cutlass.deploy.cloud import Cloud  # noqa: PLC0415
    from cutlass.deploy.errors import TargetError  # noqa: PLC0415
    from cutlass.deploy.logs import read_log  # noqa: PLC0415
    from cutlass.deploy.runs import check_credentials  # noqa: PLC0415
    from cutlass.deploy.targets import parse_environment  # noqa: PLC0415

    _, project = _project()
    workspaces = {one.region: one for one in project.of(parse_environment(environment, project))}
    chosen = region or next(iter(workspaces))
    if chosen not in workspaces:
        raise TargetError(f"{environment} has no region {chosen!r}", hint=f"there are: {', '.join(workspaces)}")
    cloud = Cloud(profile)
    check_credentials(cloud, project, environment)
    for line in read_log(cloud, workspaces[chosen], function, since_seconds=since * 60, follow=follow):
        if as_json:
            print_json({"at": line.at, "text": line.text})
        else:
            print_line(line.words)


def cost(
    environment: Env,
    *,
    decisions: Annotated[
        int, typer.Option("--decisions-per-month", min=0, help="Of all regions together.")
    ] = 1_000_000,
    as_json: Json = False,
) -> None:
    """Estimate a month's bill from the price snapshot, and say what it leaves out."""
    from cutlass.contracts import load_prices  # noqa: PLC0415
    from cutlass.deploy.cost import LEFT_OUT, Usage, estimate  # noqa: PLC0415
    from cutlass.deploy.source import variables  # noqa: PLC0415
    from cutlass.deploy.targets import parse_environment  # noqa: PLC0415

    root, project = _project()
    workspaces = project.of(parse_environment(environment, project))
    values = variables(root / "infra" / "shared" / "vars" / f"{workspaces[0].name}.tfvars")
    usage = Usage(
        regions=[workspace.region for workspace in workspaces],
        decisions=decisions,
        zones=values["private_subnet_cidrs"].count("/"),
        memory_megabytes=int(values["lambda_memory_size"]),
        firewall=values["enable_enhanced_security"] == "true",
    )
    prices = load_prices()
    lines = estimate(prices, usage)
    total = sum((line.usd for line in lines), start=lines[0].usd * 0)
    basis = f"list prices of {prices.aws_region} of {prices.as_of}"
    if as_json:
        found = [
            {"what": one.what, "region": one.region, "usd": f"{one.usd:.2f}", "basis": one.basis} for one in lines
        ]
        sources = {name: price.source for name, price in prices.prices.items()}
        print_json(
            {"usd": f"{total:.2f}", "basis": basis, "lines": found, "left_out": LEFT_OUT, "sources": sources}
        )
        return
    rows = [[one.what, one.region, f"{one.usd:,.2f}", one.basis] for one in lines]
    print_table(f"{environment}, {decisions:,} decisions a month", ["", "region", "USD", "for"], rows)
    print_line(f"about {total:,.2f} USD a month at {basis}; other regions ask more")
    print_line(f"left out: {'; '.join(LEFT_OUT)}")
    for price in prices.prices.values():
        if price.assumed:
            print_line(f"assumed, {price.name}: {price.assumed}")


def doctor(environment: Env = "dev", *, profile: Profile = None, as_json: Json = False) -> None:
    """Look for what keeps a deployment from working, with what mends it; ends with 1 where something is wrong."""
    from cutlass.deploy.doctor import Health, examine  # noqa: PLC0415
    from cutlass.deploy.targets import parse_environment  # noqa: PLC0415

    root, project = _project()
    wrong = False
    for check in examine(root, project, parse_environment(environment, project), profile):
        wrong |= check.health is Health.WRONG
        if as_json:
            print_json(check.as_dict())
        else:
            tail = f"; {check.fix}" if check.fix else ""
            print_line(f"{check.health:<8} {check.what}: {check.detail}{tail}")
    if wrong:
        raise typer.Exit(1)


def graph(
    target: Where = "dev",
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid diagram.")] = False,
    as_json: Json = False,
) -> None:
    """Show in which order the steps go, and what each waits for."""
    from cutlass.deploy.graph import ordered, restricted  # noqa: PLC0415
    from cutlass.deploy.targets import parse_target  # noqa: PLC0415

    _, project = _project()
    found = parse_target(target, project)
    order = restricted(project.dependencies(found.environment), found.steps)
    if as_json:
        steps = {str(step): sorted(map(str, order[step])) for step in ordered(order)}
        print_json({"order": list(steps), "waits_for": steps})
        return
    if mermaid:
        print_line("flowchart LR")
    for step in ordered(order):
        direct = _direct(step, order)
        if mermaid:
            for one in direct:
                print_line(f'    {_node(one)}["{one}"] --> {_node(step)}["{step}"]')
        else:
            print_line(f"{step}" + (f" after {', '.join(map(str, direct))}" if direct else ""))


def smoke(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="dev, dev-london, or local for this machine.")],
    *,
    url: Annotated[
        list[str] | None, typer.Option("--url", metavar="REGION=URL", help="Call a region at another address.")
    ] = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Make the black-box checks a deployment must pass; ends with 1 where one fails."""
    from cutlass.deploy.places import LOCAL  # noqa: PLC0415
    from cutlass.deploy.smoke import Verdict, run_smoke  # noqa: PLC0415

    found: list[Finding] = []
    places, finish = _local() if target == LOCAL else _deployed(target, url or [], profile)
    for finding in run_smoke(places, f"{int(time.time())}"):
        found.append(finding)
        if not as_json:
            tail = f": {finding.detail}" if finding.detail else ""
            print_line(f"{finding.verdict:<7} {finding.region:<8} {finding.check}{tail}")
    failed = [finding for finding in found if finding.verdict is Verdict.FAILED]
    finish(not failed)
    if as_json:
        print_json({"passed": not failed, "checks": [finding.as_dict() for finding in found]})
    if failed:
        print_error(f"{len(failed)} of {len(found)} checks of {target} failed")
        raise typer.Exit(1)


def _local() -> Any:
    from cutlass.deploy.places import local_places  # noqa: PLC0415

    return local_places(), lambda _passed: None


def _deployed(target: str, urls: list[str], profile: str | None) -> Any:
    """Return where to check, and what writes down how it went: only of a whole environment, for `promote`."""
    from cutlass.deploy.cloud import Cloud  # noqa: PLC0415
    from cutlass.deploy.places import deployed_places  # noqa: PLC0415
    from cutlass.deploy.promotion import smoke_note  # noqa: PLC0415
    from cutlass.deploy.records import now, operator, stamp  # noqa: PLC0415
    from cutlass.deploy.runs import check_credentials  # noqa: PLC0415
    from cutlass.deploy.targets import parse_target  # noqa: PLC0415

    _, project = _project()
    found = parse_target(target, project)
    cloud = Cloud(profile)
    check_credentials(cloud, project, found.environment)
    given = dict(entry.split("=", 1) for entry in urls if "=" in entry)

    def finish(passed: bool) -> None:  # noqa: FBT001 (the one thing it is told)
        if target == found.environment:
            note = {"passed": passed, "at": stamp(now()), "by": operator()}
            cloud.write_note(project.backends[found.environment], smoke_note(found.environment), note)

    return deployed_places(project, found.steps, cloud, given), finish


def _project() -> "tuple[Path, Project]":
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415

    root = find_root()
    return root, load_project(root)


def _direct(step: Any, order: Any) -> list[Any]:
    """Return what a step waits for and is not waited for already by something else it waits for."""
    return [one for one in sorted(order[step]) if not any(one in order[other] for other in order[step])]


def _node(step: Any) -> str:
    return str(step).replace("/", "_").replace("-", "_")


def _json(value: object) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, ensure_ascii=False)
