"""The pure parts of the deployment: messages, states, plans, guards, promotion, costs."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cutlass.contracts import load_prices
from cutlass.deploy.changes import Action, Change, counts, words
from cutlass.deploy.cloud import Caller
from cutlass.deploy.cost import Usage, estimate
from cutlass.deploy.errors import RefusedError, StalePlanError
from cutlass.deploy.events import Told
from cutlass.deploy.git import Revision
from cutlass.deploy.guards import check_account, check_clean, check_data, needs_name, unreviewed
from cutlass.deploy.model import Step
from cutlass.deploy.plans import PLAN_FILE, Basis, keep, kept_plan, own_state, workplace
from cutlass.deploy.promotion import release_of
from cutlass.deploy.source import load_project
from cutlass.deploy.states import Lock, State
from cutlass.deploy.terraform import TRANSIENT, Ended

PROJECT = load_project(Path(__file__).parents[3])
STEP = Step("100-data-layer", "dev-london")


def told(*messages: dict[str, object]) -> Told:
    found = Told()
    for message in messages:
        found.take(json.dumps(message))
    return found


def planned(address: str, action: str, **more: object) -> dict[str, object]:
    resource = {"addr": address, "resource_type": address.rpartition(".")[0].rpartition(".")[2] or "aws_thing"}
    return {"type": "planned_change", "change": {"resource": resource, "action": action, **more}}


def test_a_plan_is_read_from_terraforms_messages() -> None:
    moved = planned("aws_a.new", "move", previous_resource={"addr": "aws_a.old"})
    both = planned("aws_a.too", "update", previous_resource={"addr": "aws_a.before"})
    found = told(planned("aws_a.x", "create"), moved, both, planned("data.aws_b.y", "read"), {"type": "later"})
    assert [(change.address, change.action, change.previous) for change in found.changes] == [
        ("aws_a.x", Action.CREATE, None),
        ("aws_a.new", Action.MOVE, "aws_a.old"),
        ("aws_a.too", Action.UPDATE, "aws_a.before"),
    ]
    assert counts(found.changes) == {"add": 1, "change": 1, "replace": 0, "destroy": 0, "move": 2}
    assert words(found.changes) == "1 to add, 1 to change, 2 to move"
    assert not found.take("not JSON")
    assert not found.take("[]")


def test_progress_errors_and_locks_are_read_from_terraforms_messages() -> None:
    hook = {"resource": {"addr": "aws_a.x"}}
    detail = (
        "operation error S3: PutObject\nLock Info:\n  ID:        5d1f\n  Path:      b/k\n"
        "  Operation: OperationTypeApply\n  Who:       ann@laptop\n  Version:   1.11.4\n"
        "  Created:   2026-11-22 09:30:00.123456789 +0000 UTC\n  Info:      \n"
    )
    found = told(
        {"type": "apply_start", "hook": hook},
        {"type": "diagnostic", "diagnostic": {"severity": "warning", "summary": "old"}},
        {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Error acquiring the state lock"}},
    )
    assert (found.doing, found.done, len(found.errors)) == (["aws_a.x"], [], 1)
    found.take(json.dumps({"type": "apply_complete", "hook": hook}))
    assert (found.doing, found.done) == ([], ["aws_a.x"])
    error = {"severity": "error", "summary": "Error acquiring the state lock", "detail": detail}
    lock = told({"type": "diagnostic", "diagnostic": error}).lock
    assert lock is not None
    assert (
        lock.words(datetime(2026, 11, 22, 10, 0, tzinfo=UTC)) == "held by ann@laptop for 29 min (apply), lock 5d1f"
    )


def test_a_lock_file_of_terraforms_is_read() -> None:
    body = b'{"ID":"5d1f","Operation":"OperationTypePlan","Who":"ann@laptop","Created":"2026-11-22T09:00:00.5Z"}'
    assert (
        Lock.parse(body)
        .words(datetime(2026, 11, 22, 9, 0, 40, tzinfo=UTC))
        .startswith("held by ann@laptop for 39 s")
    )
    assert Lock.parse(b"not JSON").words(datetime.now(UTC)).startswith("held by someone unknown")


def test_a_state_counts_as_applied_once_it_tells_its_workspace() -> None:
    body = {"serial": 3, "lineage": "l", "outputs": {"workspace": {"value": "dev-london"}, "key": {"value": "k"}}}
    resources = [{"mode": "managed", "instances": [{}, {}]}, {"mode": "data", "instances": [{}]}]
    state = State.parse(json.dumps(body | {"resources": resources}).encode())
    assert (state.applied, state.resources, state.empty) == (True, 2, False)
    changed = State.parse(
        json.dumps(body | {"serial": 4, "outputs": {**body["outputs"], "key": {"value": "n"}}}).encode()
    )  # type: ignore[dict-item]
    assert changed.outputs_digest != state.outputs_digest
    assert own_state(State.parse(b'{"serial":1,"lineage":"l"}')) == own_state(None), "made by a plan, no apply"
    assert own_state(state) != own_state(changed)


def test_a_plan_is_kept_whole_and_refused_when_anything_changed(tmp_path: Path) -> None:
    folder = tmp_path / "plans" / "one"
    folder.parent.mkdir()
    (folder.parent / ".one.1").mkdir()  # what a crash left
    made = workplace(folder)
    (made / PLAN_FILE).write_bytes(b"plan")
    basis = Basis({"a.tf": "1", "vars": "2"}, "l/3", {"x": "4"}, ("-destroy",))
    changes = [Change("aws_a.x", "aws_a", Action.DELETE)]
    facts = {"step": STEP, "commit": "c", "account": "1", "moment": "m", "by": "me", "pending": True}
    kept = keep(folder, made, basis=basis, changes=changes, **facts)  # type: ignore[arg-type]
    assert kept_plan(folder) == kept
    assert kept.destroys
    assert [path.name for path in folder.parent.iterdir()] == ["one"]
    kept.check(basis)
    for now, reason in [
        (replace(basis, files={"a.tf": "9", "vars": "2"}), r"a\.tf changed"),
        (replace(basis, files={"a.tf": "1"}), "vars is gone"),
        (replace(basis, files={**basis.files, "b.tf": "5"}), r"b\.tf is new"),
        (replace(basis, own="l/4"), "its state was changed by another apply"),
        (replace(basis, outputs={"x": "5"}), "the outputs of x changed"),
    ]:
        with pytest.raises(StalePlanError, match=reason) as raised:
            kept.check(now)
        assert raised.value.by_reading == (now.outputs != basis.outputs)
    kept.path.write_bytes(b"another")
    with pytest.raises(StalePlanError, match="not the one that was reviewed"):
        kept.check(basis)


def test_guards() -> None:
    check_account(PROJECT, "dev", Caller(PROJECT.home("dev").account, "arn"))
    with pytest.raises(RefusedError, match="of account 999999999999"):
        check_account(PROJECT, "dev", Caller("999999999999", "arn"))
    backends = {**PROJECT.backends, "dev": PROJECT.backends["prod"]}
    with pytest.raises(RefusedError, match="is not named after account"):
        check_account(replace(PROJECT, backends=backends), "dev", Caller(PROJECT.home("dev").account, "arn"))
    check_clean("prod", Revision("c", ()))
    check_clean("staging", Revision("c", ("a",)))
    for revision in (Revision("c", ("a.tf",)), Revision(None, ())):
        with pytest.raises(RefusedError, match="takes only what is committed"):
            check_clean("prod", revision)
    assert [name for name in PROJECT.environments if needs_name(name)] == ["staging", "prod"]


def test_only_what_loses_data_has_to_be_allowed() -> None:
    harmless = [
        Change("aws_dynamodb_table.a", "aws_dynamodb_table", Action.UPDATE),
        Change("aws_lambda_function.a", "aws_lambda_function", Action.DELETE),
        Change("aws_s3_bucket.a", "aws_s3_bucket", Action.MOVE, "aws_s3_bucket.b"),
        Change("aws_s3_bucket.a", "aws_s3_bucket", Action.FORGET),
    ]
    check_data(STEP, harmless, allowed=False)
    for kind in ("aws_dynamodb_table", "aws_s3_bucket", "aws_kms_key", "aws_cognito_user_pool"):
        for action in (Action.DELETE, Action.REPLACE):
            lost = Change(f"{kind}.a", kind, action)
            with pytest.raises(RefusedError, match=f"loses data: {kind}.a"):
                check_data(STEP, [*harmless, lost], allowed=False)
            check_data(STEP, [lost], allowed=True)


def test_the_rest_of_an_apply_has_to_be_part_of_what_was_reviewed() -> None:
    create, update = Change("a", "t", Action.CREATE), Change("b", "t", Action.UPDATE)
    assert unreviewed([create, update], [update]) == []
    assert unreviewed([create], [Change("a", "t", Action.REPLACE)]) == [Change("a", "t", Action.REPLACE)]


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        ("api error ThrottlingException: Rate exceeded", True),
        ("RequestError: send request failed: read: connection reset by peer", True),
        ("dial tcp: i/o timeout", True),
        ("api error AccessDenied: not authorized", False),
        ("Unsupported argument", False),
        ("api error ResourceInUseException: table exists", False),
    ],
)
def test_only_listed_errors_are_tried_again(error: str, transient: bool) -> None:
    assert bool(TRANSIENT.search(error)) == transient
    both = Ended(1, Told(errors=[error, "Unsupported argument"]), "")
    assert not both.transient, "one error that stays is enough to stop"
    assert Ended(1, Told(errors=[error]), "").transient == transient


def note(**more: object) -> dict[str, object]:
    return {"commit": "c1", "clean": True, "at": "2026-11-22T10:00:00Z", "packages": {"build/a.zip": "1"}, **more}


@pytest.mark.parametrize(
    ("notes", "smoke", "reason"),
    [
        ([note(), None], {"passed": True, "at": "2026-11-22T11:00:00Z"}, "is not deployed by this tool"),
        ([note(), note(clean=False)], None, "runs what is not committed"),
        ([note(), note(commit=None)], None, "runs what is not committed"),
        ([note(), note(commit="c2")], None, "runs several commits"),
        ([note(), note()], None, "has not passed smoke"),
        ([note(), note()], {"passed": False, "at": "2026-11-22T11:00:00Z"}, "has not passed smoke"),
        ([note(), note()], {"passed": True, "at": "2026-11-22T09:00:00Z"}, "was deployed after its smoke"),
    ],
)
def test_what_is_mixed_or_untried_is_not_promoted(notes: list[object], smoke: object, reason: str) -> None:
    steps = [Step("000", "dev-london"), Step("100", "dev-london")]
    with pytest.raises(RefusedError, match=reason):
        release_of("dev", dict(zip(steps, notes, strict=True)), smoke)  # type: ignore[arg-type]


def test_what_one_environment_runs_is_a_commit_and_its_packages() -> None:
    smoke = {"passed": True, "at": "2026-11-22T11:00:00Z"}
    found = release_of("dev", {STEP: note()}, smoke)
    assert (found.commit, found.packages) == ("c1", {"build/a.zip": "1"})


def test_costs_grow_with_decisions_and_regions_and_every_price_has_a_source() -> None:
    prices = load_prices()
    assert all(price.source.startswith("https://") for price in prices.prices.values())

    def total(decisions: int, *regions: str, firewall: bool = False) -> Decimal:
        lines = estimate(prices, Usage(regions, decisions, zones=2, memory_megabytes=256, firewall=firewall))
        return sum((line.usd for line in lines), Decimal(0))

    idle, busy = total(0, "london", "sydney"), total(10_000_000, "london", "sydney")
    # 10 million: 35.00 calls, 8.1875 writes, as much for their copies, 2/3 functions, 3.00 logs
    assert busy - idle == pytest.approx(
        Decimal("35.00") + 2 * Decimal("8.1875") + Decimal("0.66667") + 3, abs=Decimal("0.001")
    )
    assert total(0, "london") < idle < total(0, "london", "sydney", "tokyo")
    assert total(0, "london", firewall=True) - total(0, "london") == prices.usd("firewall_month")
