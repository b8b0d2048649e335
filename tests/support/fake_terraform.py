"""A program that acts like Terraform towards the deployment: states, plans and messages, and faults on demand.

`FAKE_HOME` names a folder: `states/` is the bucket, `calls.jsonl` logs every call, and `faults.json` says what
goes wrong: by "COMMAND WORKSPACE/LAYER" a list with one entry per call. An entry may have
  error     a message the call fails with          after    how many resources are applied before that
  halt      wait until this file is there, or Ctrl-C comes
  die       be killed there and then, the lock left behind
  drifted   addresses that are not as the state says       put_back   those of them a plan would change
A layer makes two resources for each of its .tf files; their content is what a plan compares. Outside dev a state
is protected: destroying fails until an apply with `allow_data_destruction` was made.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FAKE_HOME"])
LAYER = Path.cwd().name
WORKSPACE = os.environ.get("TF_WORKSPACE", "")
KEY = f"env/{WORKSPACE}/layers/{LAYER}/terraform.tfstate"
STATE = HOME / "states" / KEY
LOCK = HOME / "states" / f"{KEY}.tflock"

interrupted: list[int] = []


def tell(kind: str, **fields: Any) -> None:
    print(json.dumps({"@level": "info", "type": kind, **fields}), flush=True)


def fail(summary: str, detail: str = "") -> None:
    tell("diagnostic", diagnostic={"severity": "error", "summary": summary, "detail": detail})


def resource(address: str) -> dict[str, str]:
    return {"addr": address, "resource_type": address.split(".", maxsplit=1)[0]}


def fault(command: str) -> dict[str, Any]:
    """Log this call, and return what goes wrong with it."""
    name = f"{command} {WORKSPACE}/{LAYER}"
    log = HOME / "calls.jsonl"
    with log.open("a", encoding="utf-8") as file:
        facts = {"call": name, "data": os.environ["TF_DATA_DIR"], "arguments": sys.argv[1:], "at": time.time()}
        file.write(json.dumps(facts) + "\n")
    calls = [json.loads(line)["call"] for line in log.read_text(encoding="utf-8").splitlines()]
    faults = (
        json.loads((HOME / "faults.json").read_text(encoding="utf-8")) if (HOME / "faults.json").exists() else {}
    )
    planned: list[dict[str, Any]] = faults.get(name, [])
    return planned[calls.count(name) - 1] if calls.count(name) <= len(planned) else {}


def state() -> dict[str, Any]:
    if STATE.exists():
        return dict(json.loads(STATE.read_text(encoding="utf-8")))
    return {"version": 4, "serial": 0, "lineage": "fake", "outputs": {}, "resources": [], "made": {}}


def wanted() -> dict[str, str]:
    found = {}
    for path in sorted(Path().glob("*.tf")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        kind = "aws_dynamodb_table" if path.stem == "tables" else "aws_thing"
        found |= {f"{kind}.{path.stem}_{number}": digest for number in (1, 2)}
    return found


def changes(*, destroy: bool) -> list[tuple[str, str]]:
    made, after = state()["made"], {} if destroy else wanted()
    found = [(address, "create") for address in after if address not in made]
    found += [(address, "update") for address in after if address in made and made[address] != after[address]]
    return found + [(address, "delete") for address in made if address not in after]


def plan(arguments: list[str]) -> int:
    out = next((argument.partition("=")[2] for argument in arguments if argument.startswith("-out=")), None)
    wrong = fault("drift" if out is None else "plan")
    if "error" in wrong:
        fail(wrong["error"], wrong.get("detail", ""))
        return 1
    for address in wrong.get("drifted", []):
        tell("resource_drift", change={"resource": resource(address), "action": "update"})
    for address in wrong.get("put_back", []):
        tell("planned_change", change={"resource": resource(address), "action": "update"})
    if out is None:
        return 0
    wait(wrong)
    if interrupted:
        fail("Execution halted")
        return 1
    destroy, allowed = "-destroy" in arguments, "-var=allow_data_destruction=true" in arguments
    found = changes(destroy=destroy)
    if allowed and not destroy and not state().get("allowed"):
        found = [(address, "update") for address in state()["made"]]
    for address, action in found:
        tell("planned_change", change={"resource": resource(address), "action": action})
    out = next(argument.partition("=")[2] for argument in arguments if argument.startswith("-out="))
    Path(out).write_text(
        json.dumps({"changes": found, "destroy": destroy, "allowed": allowed, "to": wanted()}), encoding="utf-8"
    )
    return 2 if found else 0


def apply(arguments: list[str]) -> int:
    wrong = fault("apply")
    found = json.loads(Path(arguments[-1]).read_text(encoding="utf-8"))
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    info = {"ID": f"lock-{WORKSPACE}", "Who": "fake@machine", "Operation": "OperationTypeApply"}
    LOCK.write_text(json.dumps(info | {"Created": "2026-11-22T10:00:00.123456789Z"}), encoding="utf-8")
    after, last = state(), wanted()
    if found["destroy"] and not WORKSPACE.startswith("dev") and not after.get("allowed"):
        fail("DeleteTable: the resource is protected against deletion")
        LOCK.unlink()
        return 1
    after["allowed"] = found["allowed"]
    for place, (address, action) in enumerate(found["changes"]):
        tell("apply_start", hook={"resource": resource(address), "action": action})
        if place == wrong.get("after", 0):
            wait(wrong)
            if wrong.get("die"):
                save(after, done=False)
                os.kill(os.getpid(), signal.SIGKILL)
            if "error" in wrong or interrupted:
                tell("apply_errored", hook={"resource": resource(address), "action": action})
                save(after, done=False)
                LOCK.unlink()
                fail(wrong.get("error", "Execution halted"))
                return 1
        if action == "delete":
            after["made"].pop(address)
        else:
            after["made"][address] = last[address]
        tell("apply_complete", hook={"resource": resource(address), "action": action})
    save(after, done=not found["destroy"])
    LOCK.unlink()
    return 0


def save(after: dict[str, Any], *, done: bool) -> None:
    digest = hashlib.sha256(json.dumps(after["made"], sort_keys=True).encode()).hexdigest()
    after["serial"] += 1
    after["outputs"] = (
        {
            "workspace": {"value": WORKSPACE},
            "digest": {"value": digest},
            "secret": {"value": "s", "sensitive": True},
        }
        if done
        else {}
    )
    after["resources"] = [{"mode": "managed", "instances": [{}]} for _ in after["made"]]
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.write_text(json.dumps(after), encoding="utf-8")


def wait(wrong: dict[str, Any]) -> None:
    if "halt" in wrong:
        (HOME / f"{wrong['halt']}.reached").touch()
    while "halt" in wrong and not interrupted and not (HOME / str(wrong["halt"])).exists():
        time.sleep(0.02)


def main() -> int:
    signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
    command, *arguments = sys.argv[1:]
    if command == "init":
        wrong = fault("init")
        print(wrong.get("error", "initialised"), file=sys.stderr if wrong else sys.stdout)
        return 1 if wrong else 0
    return plan(arguments) if command == "plan" else apply(arguments)


if __name__ == "__main__":
    sys.exit(main())
