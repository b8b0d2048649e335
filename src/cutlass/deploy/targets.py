"""What an operator names: `dev`, `dev-london`, `dev-london/200`."""

from collections.abc import Iterable
from dataclasses import dataclass

from cutlass.deploy.errors import TargetError
from cutlass.deploy.model import BOOTSTRAP, Project, Step


@dataclass(frozen=True, slots=True)
class Target:
    """An environment, and the steps of it that were named, in order."""

    environment: str
    steps: tuple[Step, ...]


def parse_target(text: str, project: Project, layers: Iterable[str] = ()) -> Target:
    """Return what a target names, narrowed to `layers` where there are any.

    Parameters
    ----------
    text : str
        `ENVIRONMENT[-REGION][/LAYER]`; a layer is named in full or by its number.
    layers : iterable of str
        As `--layer` gives them.

    Raises
    ------
    TargetError
        There is no such environment, region or layer; the hint lists those there are.
    """
    place, slash, layer = text.partition("/")
    wanted = {_layer(name, project) for name in [*([layer] if slash else []), *layers]}
    environment = _environment(place, project)
    chosen = [
        step
        for step in project.steps(environment)
        if (place in (environment, step.workspace)) and (not wanted or step.layer in wanted)
    ]
    if not chosen:
        hint = f"it is applied in {project.home(environment).name} only"
        raise TargetError(f"{', '.join(sorted(wanted))} is not applied in {place}", hint=hint)
    return Target(environment, tuple(chosen))


def parse_environment(text: str, project: Project) -> str:
    """Return the name of an environment.

    Raises
    ------
    TargetError
        There is none of that name.
    """
    if text not in project.environments:
        raise TargetError(
            f"there is no environment {text!r}", hint=f"there are: {', '.join(project.environments)}"
        )
    return text


def _environment(place: str, project: Project) -> str:
    if place in project.environments:
        return place
    if place in project.workspaces:
        return project.workspaces[place].environment
    known = ", ".join([*project.environments, *project.workspaces])
    raise TargetError(f"there is no environment or workspace {place!r}", hint=f"there are: {known}")


def _layer(text: str, project: Project) -> str:
    for name, layer in project.layers.items():
        if text in (name, layer.number):
            return name
    hint = f"there are: {', '.join(project.layers)}"
    if text == BOOTSTRAP:
        hint = "`cutlass bootstrap ENVIRONMENT` applies it"
    raise TargetError(f"there is no layer {text!r}", hint=hint)
