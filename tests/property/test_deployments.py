"""The planner of deployments over any layers and regions: order, failures that stay where they are, destroying."""

import threading
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cutlass.deploy.errors import DeployError
from cutlass.deploy.graph import Graph, Progress, Schedule, ordered, reaches, restricted, reversed_graph
from cutlass.deploy.model import Backend, Layer, Project, Read, Scope, Step, Workspace
from cutlass.deploy.running import Outcome, Result, run_graph

REGIONS = ("london", "sydney", "tokyo")


@st.composite
def projects(draw: st.DrawFn) -> Project:
    """Layers that read lower ones in any scope, in one to three regions."""
    numbers = sorted(draw(st.sets(st.sampled_from(["000", "100", "200", "300", "400", "900"]), min_size=1)))
    layers: dict[str, Layer] = {}
    for number in numbers:
        below = [name for name in layers if not layers[name].is_global]
        read = draw(st.sets(st.tuples(st.sampled_from(below), st.sampled_from(list(Scope))))) if below else set()
        name = f"{number}-layer"
        own = [(name, Scope.HOME)] if draw(st.booleans()) else []
        layers[name] = Layer(name, tuple(Read(one, scope) for one, scope in [*sorted(read), *own]))
    regions = REGIONS[: draw(st.integers(1, 3))]
    workspaces = [Workspace("dev", region, f"aws-{region}", "111111111111") for region in regions]
    return Project(layers, regions, {one.name: one for one in workspaces}, {"dev": Backend("b", "aws", None)})


@given(projects())
def test_nothing_comes_before_what_it_reads(project: Project) -> None:
    graph = project.dependencies("dev")
    order = ordered(graph)
    assert sorted(order) == sorted(project.steps("dev")), "every step once"
    place = {step: index for index, step in enumerate(order)}
    home = project.home("dev").name
    for step in order:
        assert all(place[one] < place[step] for one in graph[step])
        layer = project.layers[step.layer]
        if layer.is_global:
            assert step.workspace == home
        for read in layer.reads:
            same = Step(read.layer, step.workspace)
            wanted = {
                Scope.SAME: [same],
                Scope.HOME: [Step(read.layer, home)],
                Scope.EVERY: [Step(read.layer, workspace) for workspace in project.workspaces],
            }[read.scope]
            assert all(place[one] < place[step] for one in wanted if one != step)


@given(projects())
def test_destroying_is_the_other_way_round(project: Project) -> None:
    graph = project.dependencies("dev")
    place = {step: index for index, step in enumerate(ordered(reversed_graph(graph)))}
    assert all(place[step] < place[one] for step in graph for one in graph[step])
    assert reversed_graph(reversed_graph(graph)) == graph


@given(projects(), st.data())
def test_a_choice_of_steps_keeps_their_order(project: Project, data: st.DataObject) -> None:
    graph = project.dependencies("dev")
    chosen = data.draw(st.lists(st.sampled_from(sorted(graph)), unique=True))
    found = restricted(graph, chosen)
    assert set(found) == set(chosen)
    for step in chosen:
        assert found[step] == {one for one in chosen if one in reaches(graph, step)}


@given(projects(), st.data())
def test_a_failure_blocks_what_depends_on_it_and_nothing_else(project: Project, data: st.DataObject) -> None:
    graph = project.dependencies("dev")
    failing = data.draw(st.sets(st.sampled_from(sorted(graph))))
    schedule = Schedule.of(graph)
    running: list[Step] = []
    while not schedule.over:
        ready = schedule.ready()
        if ready and (not running or data.draw(st.booleans())):
            step = data.draw(st.sampled_from(ready))
            assert all(schedule.progress[one] is Progress.DONE for one in graph[step]), "begun too early"
            schedule = schedule.started(step)
            running.append(step)
        else:
            step = running.pop(data.draw(st.integers(0, len(running) - 1)))
            schedule = schedule.ended(step, done=step not in failing)
    assert schedule.progress == expected(graph, failing)


@given(projects(), st.data(), st.integers(1, 4))
def test_threads_end_where_the_schedule_says(project: Project, data: st.DataObject, parallel: int) -> None:
    graph = project.dependencies("dev")
    failing = data.draw(st.sets(st.sampled_from(sorted(graph))))
    lock, at_once, most, began = threading.Lock(), 0, 0, []

    def work(step: Step) -> Result:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            began.append(step)
        with lock:
            at_once -= 1
        if step in failing:
            raise DeployError("no")
        return Result(Outcome.APPLIED)

    results = run_graph(graph, work, parallel=parallel, stopping=lambda: False)
    outcome = {Progress.DONE: Outcome.APPLIED, Progress.FAILED: Outcome.FAILED, Progress.BLOCKED: Outcome.BLOCKED}
    assert {step: result.outcome for step, result in results.items()} == {
        step: outcome[progress] for step, progress in expected(graph, failing).items()
    }
    assert most <= parallel
    assert len(began) == len(set(began)), "each step is done once"


@given(projects(), st.integers(0, 8))
def test_once_stopped_nothing_new_is_begun(project: Project, after: int) -> None:
    graph = project.dependencies("dev")
    began: list[Step] = []

    def work(step: Step) -> Result:
        began.append(step)
        return Result(Outcome.APPLIED)

    results = run_graph(graph, work, parallel=1, stopping=lambda: len(began) >= after)
    assert len(began) == min(after, len(graph))
    assert {step for step, result in results.items() if result.outcome is Outcome.APPLIED} == set(began)
    assert all(result.outcome is Outcome.STOPPED for step, result in results.items() if step not in began)


def expected(graph: Graph, failing: set[Step]) -> Mapping[Step, Progress]:
    """Return how a run ends in which these steps fail, if they are begun."""
    found = {}
    for step in ordered(graph):
        if any(found[one] is not Progress.DONE for one in graph[step]):
            found[step] = Progress.BLOCKED
        else:
            found[step] = Progress.FAILED if step in failing else Progress.DONE
    return found
