"""Deployments with a Terraform and a bucket of the tests' own: order, guards, and every fault a run can meet."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.checkouts import ACCOUNTS, DATA, SAME, Checkout

SMALL = {"000-net": "{}", "100-data": DATA, "200-code": SAME % "100-data"}
ALL = ["dev-london/000-net", "dev-sydney/000-net", "dev-london/100-data"]
ALL += ["dev-sydney/100-data", "dev-london/200-code", "dev-sydney/200-code"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.make(tmp_path, SMALL)


@pytest.fixture
def deployed(checkout: Checkout) -> Checkout:
    done = checkout.run("deploy", "dev", "--yes")
    assert done.returncode == 0, done.stderr
    checkout.faults({})
    return checkout


def change(checkout: Checkout, layer: str, text: str = "# another\n") -> None:
    path = checkout.root / "infra" / layer / "main.tf"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def outcomes(answer: dict[str, object]) -> dict[str, str]:
    steps: list[dict[str, str]] = answer["steps"]  # type: ignore[assignment]
    return {f"{step['workspace']}/{step['layer']}": step["outcome"] for step in steps}


def follow(process: "subprocess.Popen[str]", reached: Path) -> None:
    """Wait until a call of Terraform's has come to where it halts."""
    until = time.monotonic() + 60
    while not reached.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "Terraform was never called"
        time.sleep(0.02)


def test_from_nothing_to_two_regions_and_back(checkout: Checkout) -> None:
    planned = outcomes(checkout.json("plan", "dev"))
    assert planned == {step: "planned" if step in ALL[:2] else "waiting" for step in ALL}, "nothing is invented"
    done = outcomes(checkout.json("deploy", "dev", "--yes"))
    assert done == dict.fromkeys(ALL, "applied")
    applied = checkout.calls("apply")
    assert applied.index(ALL[2]) > max(applied.index(step) for step in ALL[:2]), "replicas need both networks"
    assert applied.index(ALL[3]) > applied.index(ALL[2]), "London's data layer comes before Sydney's"
    assert outcomes(checkout.json("plan", "dev", "--detailed-exitcode")) == dict.fromkeys(ALL, "unchanged")
    checkout.faults({})
    assert outcomes(checkout.json("destroy", "dev", "--yes", "--destroy-data")) == dict.fromkeys(ALL, "applied")
    destroyed = checkout.calls("apply")
    assert destroyed.index(ALL[3]) < destroyed.index(ALL[2]), "what reads is destroyed before what is read"
    assert max(destroyed.index(step) for step in ALL[2:]) < min(destroyed.index(step) for step in ALL[:2])


def test_a_failure_stops_what_depends_on_it_and_finishes_the_rest(checkout: Checkout) -> None:
    checkout.faults({"apply dev-sydney/100-data": [{"error": "no such zone", "after": 1}]})
    done = checkout.run("deploy", "dev", "--yes", "--json")
    assert done.returncode == 1
    found = outcomes(json.loads(done.stdout.splitlines()[-1]))
    assert found["dev-sydney/100-data"] == "failed"
    assert found["dev-sydney/200-code"] == "blocked"
    assert found["dev-london/200-code"] == "applied", "London does not depend on Sydney's data layer"
    assert "dev-sydney/100-data failed: the apply failed: no such zone" in done.stderr
    again = outcomes(checkout.json("deploy", "dev", "--yes"))
    assert again["dev-sydney/200-code"] == "applied", "the same command goes on where it stopped"
    assert again["dev-london/200-code"] == "unchanged"


def test_a_transient_error_is_tried_again_and_another_is_not(checkout: Checkout) -> None:
    transient = {"error": "api error ThrottlingException: Rate exceeded", "after": 1}
    checkout.faults({"apply dev-london/000-net": [transient], "init dev-london/000-net": []})
    assert outcomes(checkout.json("deploy", "dev-london/000", "--yes")) == {ALL[0]: "applied"}
    assert checkout.calls() == [
        "init /000-net",
        "plan dev-london/000-net",
        "apply dev-london/000-net",
        "plan dev-london/000-net",
        "apply dev-london/000-net",
    ], "what a failed apply left is planned again before it is applied"
    checkout.faults({"plan dev-sydney/000-net": [{"error": "Unsupported argument"}]})
    assert checkout.run("plan", "dev-sydney/000").returncode == 1
    assert checkout.calls("plan") == ["dev-sydney/000-net"], "an error that stays is not tried again"


def test_more_than_was_reviewed_is_not_applied_after_a_failure(deployed: Checkout) -> None:
    change(deployed, "200-code")
    deployed.run("plan", "dev-london/200")
    plan = deployed.root / ".cutlass/deploy/plans/dev-london/200-code/plan.json"
    facts = json.loads(plan.read_text(encoding="utf-8"))
    facts["changes"] = facts["changes"][:1]  # as if only this had been shown
    plan.write_text(json.dumps(facts), encoding="utf-8")
    deployed.faults({"apply dev-london/200-code": [{"error": "connection reset by peer"}]})
    done = deployed.run("apply", "dev-london/200", "--yes")
    assert done.returncode == 1
    assert "has changes that were not reviewed: aws_thing.main_2 (update)" in done.stderr
    assert deployed.calls("apply") == ["dev-london/200-code"], "nothing more was applied"


def test_the_reviewed_plan_is_applied_and_a_stale_one_refused(deployed: Checkout) -> None:
    change(deployed, "200-code")
    planned = deployed.json("plan", "dev-london/200")
    change(deployed, "200-code", "# and one more\n")
    done = deployed.run("apply", "dev-london/200", "--yes")
    assert done.returncode == 1
    assert (
        "is stale: infra/200-code/main.tf changed; look at a new one: `cutlass plan dev-london/200`" in done.stderr
    )
    assert not deployed.calls("apply")
    again = deployed.json("plan", "dev-london/200")
    assert again["steps"][0]["plan_sha256"] != planned["steps"][0]["plan_sha256"]
    applied = deployed.json("apply", "dev-london/200", "--yes")
    assert applied["steps"][0]["plan_sha256"] == again["steps"][0]["plan_sha256"]
    records = [line for line in deployed.records() if line["event"] == "step_applying"]
    assert records[-1]["plan_sha256"] == again["steps"][0]["plan_sha256"]
    assert deployed.run("apply", "dev-london/200", "--yes").returncode == 1, "a plan is applied once"


def test_a_plan_is_stale_once_what_it_reads_or_its_own_state_has_changed(deployed: Checkout) -> None:
    change(deployed, "000-net")
    change(deployed, "100-data")
    deployed.run("plan", "dev")
    done = deployed.run("apply", "dev", "--yes")
    assert done.returncode == 1
    assert "the plan of dev-london/100-data made at" in done.stderr
    assert "is stale: the outputs of dev-london/000-net changed" in done.stderr
    assert "dev-london/000-net" in deployed.calls("apply")
    assert "dev-london/100-data" not in deployed.calls("apply")
    deployed.run("plan", "dev-london/100")
    deployed.run("deploy", "dev-london/100", "--yes")
    change(deployed, "200-code")
    deployed.run("plan", "dev-london/200")
    state = deployed.home / "states/env/dev-london/layers/200-code/terraform.tfstate"
    value = json.loads(state.read_text(encoding="utf-8"))
    state.write_text(json.dumps(value | {"serial": 99}), encoding="utf-8")
    assert "its state was changed by another apply" in deployed.run("apply", "dev-london/200", "--yes").stderr


def test_only_what_reads_a_changed_file_is_affected(deployed: Checkout) -> None:
    base = deployed.git("rev-parse", "HEAD")
    change(deployed, "200-code")
    assert outcomes(deployed.json("plan", "dev", "--affected")) == dict.fromkeys(ALL[4:], "planned")
    deployed.commit("change the code")
    assert outcomes(deployed.json("plan", "dev", "--affected", base)) == dict.fromkeys(ALL[4:], "planned")
    assert outcomes(deployed.json("apply", "dev", "--yes")) == dict.fromkeys(ALL[4:], "applied")
    change(deployed, "100-data")
    assert set(outcomes(deployed.json("deploy", "dev", "--affected", "--yes")).values()) == {"applied"}
    assert outcomes(deployed.json("plan", "dev", "--affected")) == {}
    wrong = deployed.run("plan", "dev", "--affected", "nowhere")
    assert (wrong.returncode, "there is no commit 'nowhere'" in wrong.stderr) == (2, True)


def test_another_account_is_refused_before_anything(checkout: Checkout) -> None:
    for command in (["plan", "dev"], ["deploy", "dev", "--yes"], ["drift", "dev"], ["outputs", "dev"]):
        done = checkout.run(*command, FAKE_ACCOUNT="999999999999")
        assert done.returncode == 1
        assert "the credentials are of account 999999999999" in done.stderr
        assert "dev-london is in account 111111111111" in done.stderr
    assert checkout.calls() == []


def test_a_backend_of_another_account_is_refused(checkout: Checkout) -> None:
    config = checkout.root / "infra/shared/backend-config-dev.hcl"
    config.write_text('bucket = "state-222222222222"\nregion = "eu-west-2"\n', encoding="utf-8")
    done = checkout.run("plan", "dev")
    assert done.returncode == 1
    assert "keeps state in state-222222222222, which is not named after account 111111111111" in done.stderr
    assert checkout.calls() == []


def test_without_its_bucket_an_account_is_sent_to_bootstrap(checkout: Checkout) -> None:
    (checkout.home / "no-bucket").touch()
    done = checkout.run("plan", "dev")
    assert (done.returncode, "`cutlass bootstrap dev`" in done.stderr) == (1, True)


def test_data_is_destroyed_only_when_asked_for_by_name(checkout: Checkout) -> None:
    (checkout.root / "infra/100-data/tables.tf").write_text("# tables\n", encoding="utf-8")
    assert checkout.run("deploy", "dev", "--yes").returncode == 0
    checkout.faults({})
    done = checkout.run("destroy", "dev", "--yes")
    assert done.returncode == 1
    assert "loses data: aws_dynamodb_table.tables_1 (delete)" in done.stderr
    assert "--destroy-data" in done.stderr
    (checkout.root / "infra/100-data/tables.tf").unlink()
    done = checkout.run("deploy", "dev", "--yes")
    assert done.returncode == 1
    assert "loses data" in done.stderr
    assert checkout.calls("apply") == [], "a change that loses data is refused as well"
    shown = checkout.run("plan", "dev-london/100")
    assert "loses data: dev-london/100-data: delete aws_dynamodb_table.tables_1" in shown.stdout
    assert checkout.run("deploy", "dev", "--yes", "--destroy-data").returncode == 0


def test_outside_dev_the_protection_is_taken_off_before_data_is_destroyed(checkout: Checkout) -> None:
    account = {"FAKE_ACCOUNT": ACCOUNTS["staging"]}
    named = ["--confirm", "staging"]
    assert checkout.run("deploy", "staging-london/000", *named, **account).returncode == 0
    checkout.faults({})
    assert checkout.run("destroy", "staging-london/000", *named, **account).returncode == 1, "it is protected"
    done = checkout.run("destroy", "staging-london/000", *named, "--destroy-data", **account)
    assert done.returncode == 0, done.stderr
    assert checkout.calls("apply") == ["staging-london/000-net"] * 3, (
        "one refused, one that allows, one that destroys"
    )


def test_a_protected_environment_asks_for_its_name(checkout: Checkout) -> None:
    account = {"FAKE_ACCOUNT": ACCOUNTS["staging"]}
    done = checkout.run("deploy", "staging-london/000", "--yes", **account)
    assert (done.returncode, "give --confirm staging to go ahead" in done.stderr) == (2, True)
    assert checkout.run("deploy", "staging-london/000", "--confirm", "dev", **account).returncode == 2
    assert checkout.calls("apply") == []
    assert checkout.run("deploy", "staging-london/000", "--confirm", "staging", **account).returncode == 0


def test_prod_takes_only_what_is_committed(checkout: Checkout) -> None:
    account = {"FAKE_ACCOUNT": ACCOUNTS["prod"]}
    change(checkout, "000-net")
    done = checkout.run("deploy", "prod-london/000", "--confirm", "prod", **account)
    assert done.returncode == 1
    assert "prod takes only what is committed: infra/000-net/main.tf" in done.stderr
    assert checkout.calls() == []
    checkout.commit("change the network")
    assert checkout.run("deploy", "prod-london/000", "--confirm", "prod", **account).returncode == 0


def test_promote_applies_what_the_other_environment_runs_and_has_passed_smoke(deployed: Checkout) -> None:
    command = ["promote", "staging", "--from", "dev", "--from-profile", ACCOUNTS["dev"], "--confirm", "staging"]
    account = {"FAKE_ACCOUNT": ACCOUNTS["staging"]}
    done = deployed.run(*command, **account)
    assert (done.returncode, "dev has not passed smoke; `cutlass smoke dev`" in done.stderr) == (1, True)
    note = deployed.home / "states/deployments/dev.smoke.json"
    note.write_text(json.dumps({"passed": True, "at": "2999-01-01T00:00:00Z"}), encoding="utf-8")
    change(deployed, "200-code")
    done = deployed.run(*command, **account)
    assert (done.returncode, "and changes, and dev runs" in done.stderr) == (1, True)
    assert deployed.calls("apply") == []
    deployed.git("checkout", "--quiet", ".")
    done = deployed.run(*command, **account)
    assert done.returncode == 0, done.stderr
    assert sorted(deployed.calls("apply")) == sorted(step.replace("dev", "staging") for step in ALL)


def test_ctrl_c_is_passed_on_once_and_waited_for(checkout: Checkout) -> None:
    checkout.faults({"apply dev-london/000-net": [{"halt": "go", "after": 1}]})
    process = checkout.start("deploy", "dev-london", "--yes")
    follow(process, checkout.home / "go.reached")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted: finishing what is under way" in errors
    assert checkout.calls("apply") == ["dev-london/000-net"], "nothing new is begun"
    state = json.loads((checkout.home / "states/env/dev-london/layers/000-net/terraform.tfstate").read_text())
    assert len(state["made"]) == 1, "what was made is in the state"
    last = checkout.records()[-1]
    assert (last["event"], last["result"]) == ("run_ended", "interrupted")
    again = outcomes(checkout.json("deploy", "dev-london/000", "--yes"))
    assert again == {"dev-london/000-net": "applied"}, "a rerun completes"


def test_when_the_tool_is_killed_terraform_finishes_and_a_rerun_goes_on(checkout: Checkout) -> None:
    checkout.faults({"apply dev-london/000-net": [{"halt": "go", "after": 1}]})
    process = checkout.start("deploy", "dev-london", "--yes")
    follow(process, checkout.home / "go.reached")
    process.kill()
    process.communicate(timeout=60)
    busy = checkout.run("deploy", "dev-london/000", "--yes")
    assert busy.returncode == 1
    assert "dev-london/000-net is locked: held by fake@machine for" in busy.stderr
    (checkout.home / "go").touch()
    state = checkout.home / "states/env/dev-london/layers/000-net/terraform.tfstate"
    until = time.monotonic() + 60
    while not state.exists() or state.with_name("terraform.tfstate.tflock").exists():
        assert time.monotonic() < until, "Terraform died with the tool"
        time.sleep(0.02)
    assert outcomes(checkout.json("deploy", "dev-london/000", "--yes")) == {"dev-london/000-net": "unchanged"}


def test_a_dead_terraform_leaves_a_lock_that_is_broken_by_its_id_only(checkout: Checkout) -> None:
    checkout.faults({"apply dev-london/000-net": [{"die": True, "after": 2}]})
    assert checkout.run("deploy", "dev-london/000", "--yes").returncode == 1
    done = checkout.run("deploy", "dev-london/000", "--yes")
    assert done.returncode == 1
    assert "if it is dead, and only then: `cutlass unlock dev-london/000 lock-dev-london`" in done.stderr
    assert checkout.run("unlock", "dev-london/000", "another", "--yes").returncode == 1
    assert checkout.run("unlock", "dev-london/000", "lock-dev-london", "--yes").returncode == 0
    assert outcomes(checkout.json("deploy", "dev-london/000", "--yes")) == {"dev-london/000-net": "applied"}


def test_a_lock_that_terraform_meets_is_shown_with_its_holder(checkout: Checkout) -> None:
    detail = "Lock Info:\n  ID:        abc\n  Who:       ann@laptop\n  Operation: OperationTypePlan\n"
    checkout.faults({"plan dev-london/000-net": [{"error": "Error acquiring the state lock", "detail": detail}]})
    done = checkout.run("plan", "dev-london/000")
    assert done.returncode == 1
    assert "dev-london/000-net is locked: held by ann@laptop (plan), lock abc" in done.stderr


def test_a_full_disk_leaves_no_plan_behind(deployed: Checkout) -> None:
    change(deployed, "200-code")
    error = "Failed to write plan file: write tfplan: no space left on device"
    deployed.faults({"plan dev-london/200-code": [{"error": error}]})
    done = deployed.run("plan", "dev-london/200")
    assert (done.returncode, "no space left on device" in done.stderr) == (1, True)
    assert deployed.run("apply", "dev-london/200", "--yes").returncode == 1
    plans = deployed.root / ".cutlass/deploy/plans/dev-london"
    assert [path.name for path in plans.iterdir() if "200" in path.name] == []
    assert outcomes(deployed.json("deploy", "dev-london/200", "--yes")) == {"dev-london/200-code": "applied"}


def test_drift_is_told_and_kept_for_everyone(deployed: Checkout) -> None:
    drifted = {"drifted": ["aws_thing.main_1", "aws_thing.main_2"], "put_back": ["aws_thing.main_1"]}
    deployed.faults({"drift dev-london/100-data": [drifted]})
    done = deployed.run("drift", "dev-london")
    assert done.returncode == 3
    assert "dev-london/100-data: update aws_thing.main_1" in done.stdout
    assert "1 to put back" in done.stdout
    found = {f"{one['workspace']}/{one['layer']}": one["state"] for one in deployed.json("envs")["steps"]}
    assert found["dev-london/100-data"] == "drifted"
    assert found["dev-london/200-code"] == "deployed"
    assert deployed.run("drift", "dev-sydney").returncode == 0


def test_a_change_of_the_checkout_is_no_drift(deployed: Checkout) -> None:
    change(deployed, "200-code")
    deployed.faults({"drift dev-london/200-code": [{"put_back": ["aws_thing.main_1"]}]})
    assert deployed.run("drift", "dev-london/200").returncode == 0
    both = {"put_back": ["aws_thing.main_1", "aws_thing.main_2"], "drifted": ["aws_thing.main_2"]}
    deployed.faults({"drift dev-london/200-code": [both]})
    done = deployed.run("drift", "dev-london/200")
    assert (done.returncode, "update aws_thing.main_1" in done.stdout) == (3, False)


def test_where_every_step_stands_is_shown(checkout: Checkout) -> None:
    def stands() -> dict[str, str]:
        steps = checkout.json("envs", "--env", "dev")["steps"]
        return {f"{one['workspace']}/{one['layer']}": one["state"] for one in steps}

    assert stands() == {step: "never deployed" if step in ALL[:2] else "waiting" for step in ALL}
    checkout.faults({"apply dev-london/000-net": [{"error": "no", "after": 1}]})
    checkout.run("deploy", "dev-london/000", "--yes")
    assert stands()["dev-london/000-net"] == "applied in part"
    checkout.run("deploy", "dev", "--yes")
    assert set(stands().values()) == {"deployed"}
    change(checkout, "100-data")
    assert stands()["dev-sydney/100-data"] == "deployed, changed since"
    assert "staging" in checkout.json("envs")["unknown"], "other accounts are told apart, not failed on"


def test_a_target_that_is_none_is_wrong_usage(checkout: Checkout) -> None:
    for target in ("paris", "dev-paris", "dev/700", "dev/bootstrap"):
        assert checkout.run("plan", target).returncode == 2, target
    assert checkout.run("plan", "dev", "--layer", "700").returncode == 2


def test_secrets_are_not_printed_with_the_outputs(deployed: Checkout) -> None:
    assert "secret = (secret)" in deployed.run("outputs", "dev-london/000").stdout
    assert deployed.run("outputs", "dev-london/000", "--name", "secret").stdout == "s\n"


def test_no_data_folder_is_shared(deployed: Checkout) -> None:
    change(deployed, "000-net")
    deployed.run("plan", "dev")
    lines = [json.loads(line) for line in (deployed.home / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    folders = {(line["call"].partition(" ")[2], line["data"]) for line in lines if line["call"].startswith("plan")}
    assert len({folder for _, folder in folders}) == len(ALL)
    assert (deployed.root / ".cutlass/deploy").stat().st_mode & 0o077 == 0, "plans hold secrets"
