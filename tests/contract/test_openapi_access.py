"""Who may use which route: the document says it, and the code does it, for every route and kind of caller."""

import importlib
import json
from typing import Any

import pytest

from cutlass.api.auth import Scope
from cutlass.contracts import Operation, load_functions, load_openapi, load_operations
from cutlass.domain.errors import UnavailableError
from tests.unit.functions.fakes import event

ALL_SCOPES = [str(scope) for scope in Scope]
GUARDED = [operation for operation in load_operations() if operation.scopes is not None]
OPEN = [operation for operation in load_operations() if operation.scopes is None]


def service(*scopes: str) -> dict[str, str]:
    return {"principalId": "backend", "kind": "service", "scope": " ".join(scopes)}


def member(org_id: str, role: str) -> dict[str, str]:
    return {"principalId": "u", "kind": "member", "scope": "", "org_id": org_id, "role": role}


def example(operation: Operation) -> Any:
    request = load_openapi()["paths"][operation.path][operation.method.lower()].get("requestBody")
    return request["content"]["application/json"]["example"] if request else None


class Untouchable:
    """In place of the store: to touch it shows that the caller was let through."""

    def __getattr__(self, name: str) -> None:
        raise UnavailableError("reached")


def status(operation: Operation, caller: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """Call the operation on org456; 503 means that the store would have been asked."""
    module = importlib.import_module(load_functions()[operation.function].handler.rpartition(".")[0])
    if hasattr(module, "open_store"):
        monkeypatch.setattr(module, "open_store", Untouchable)
    ids = {"user": "test123", "grant": "g1", "reservation": "london-0", "report": "london-0", "schedule": "s1"}
    path = operation.path.format(org="org456", **ids)
    answer = module.handler(event(operation.method, path, example(operation), caller=caller), None)
    if operation.path == "/usage-check/batch" and answer["statusCode"] == 200:
        items = json.loads(answer["body"])["items"]
        (found,) = {item["status"] for item in items}
        return found
    return answer["statusCode"]


def let_through(code: int) -> bool:
    return code in {200, 503}


@pytest.mark.parametrize("operation", GUARDED, ids=lambda o: o.operation_id)
class TestEveryGuardedRoute:
    def test_nobody(self, operation: Operation, monkeypatch: pytest.MonkeyPatch):
        assert status(operation, None, monkeypatch) == 401
        assert status(operation, {}, monkeypatch) == 401
        assert status(operation, {"principalId": "x", "kind": "root"}, monkeypatch) == 401

    def test_a_service_needs_the_documented_scope_and_no_other(
        self, operation: Operation, monkeypatch: pytest.MonkeyPatch
    ):
        needed = list(operation.scopes or ())
        assert set(needed) <= set(ALL_SCOPES)
        assert let_through(status(operation, service(*needed), monkeypatch))
        others = [scope for scope in ALL_SCOPES if scope not in needed]
        for scopes in (others, []):
            code = status(operation, service(*scopes), monkeypatch)
            assert code == 403 if needed else let_through(code)

    def test_a_member_needs_the_documented_role(self, operation: Operation, monkeypatch: pytest.MonkeyPatch):
        role = operation.member_role
        assert let_through(status(operation, member("org456", "member"), monkeypatch)) == (role == "member")
        assert let_through(status(operation, member("org456", "admin"), monkeypatch)) == (role is not None)

    def test_a_member_of_another_organisation(self, operation: Operation, monkeypatch: pytest.MonkeyPatch):
        for role in ("member", "admin"):
            code = status(operation, member("org789", role), monkeypatch)
            if "{reservation}" in operation.path:
                assert let_through(code), "whose it is only the store can tell: there it must not exist"
                continue
            names_one = "{org}" in operation.path or operation.path.startswith(("/usage-check", "/reservations"))
            assert code == 403 if names_one else let_through(code)

    def test_scopes_give_a_member_nothing(self, operation: Operation, monkeypatch: pytest.MonkeyPatch):
        caller = {**member("org456", "member"), "scope": " ".join(ALL_SCOPES)}
        assert let_through(status(operation, caller, monkeypatch)) == (operation.member_role == "member")


@pytest.mark.parametrize("operation", OPEN, ids=lambda o: o.operation_id)
def test_an_open_route_needs_nobody(operation: Operation, monkeypatch: pytest.MonkeyPatch):
    assert let_through(status(operation, None, monkeypatch))


def test_only_health_is_open():
    assert {operation.path for operation in OPEN} == {"/health"}
