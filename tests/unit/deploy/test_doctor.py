"""What keeps a deployment from working is found, each with what mends it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cutlass.deploy import doctor
from cutlass.deploy.doctor import Check, Health, examine
from cutlass.deploy.errors import CloudError
from cutlass.deploy.source import load_project
from tests.support.checkouts import Checkout, FolderCloud

ISSUED = {"Status": "ISSUED", "NotAfter": datetime.now(UTC) + timedelta(days=200)}


class Cloud(FolderCloud):
    """An account in which all is well, but for what a test changes."""

    certificate: Any = ISSUED
    concurrency = 1000
    enabled = "opt-in-not-required"

    def call(self, service: str, aws_region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "describe_certificate" and self.certificate is None:
            raise CloudError("describe_certificate failed: ResourceNotFoundException: no")
        answers: dict[str, dict[str, Any]] = {
            "describe_regions": {"Regions": [{"OptInStatus": self.enabled}]},
            "get_service_quota": {"Quota": {"Value": self.concurrency}},
            "describe_certificate": {"Certificate": self.certificate},
        }
        return answers[operation]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout.make(tmp_path, {"000-net": "{}"})
    (made.root / "infra/shared/versions.tf").write_text('version = "5.100.0"\n', encoding="utf-8")
    for name, value in made.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(doctor, "Cloud", Cloud)
    monkeypatch.setattr(doctor.socket, "getaddrinfo", lambda *_: [])
    return made


def checks(checkout: Checkout) -> dict[str, Check]:
    return {check.what: check for check in examine(checkout.root, load_project(checkout.root), "dev", None)}


def test_an_account_in_which_all_is_well_has_nothing_wrong_but_what_is_not_built(checkout: Checkout) -> None:
    found = checks(checkout)
    wrong = {what for what, check in found.items() if check.health is Health.WRONG}
    # The fake Terraform tells no version and its mirror holds no provider.
    assert wrong == {"packages of functions", "AWS provider"}
    assert found["Terraform"].health is Health.UNKNOWN
    assert found["packages of functions"].fix == "`cutlass package`"


@pytest.mark.parametrize(
    ("attribute", "value", "what", "fix"),
    [
        ("certificate", None, "certificate, london", "aws acm request-certificate --region eu-west-2"),
        ("certificate", {"Status": "PENDING_VALIDATION"}, "certificate, sydney", "add the records"),
        (
            "certificate",
            {"Status": "ISSUED", "NotAfter": datetime.now(UTC) + timedelta(days=3)},
            "certificate, london",
            "keep its validation records",
        ),
        ("concurrency", 10, "quota of functions, london", "request-service-quota-increase"),
        ("enabled", "not-opted-in", "region sydney", "aws account enable-region --region-name ap-southeast-2"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, attribute: str, value: object, what: str, fix: str
) -> None:
    monkeypatch.setattr(Cloud, attribute, value)
    check = checks(checkout)[what]
    assert check.health is Health.WRONG
    assert fix in check.fix


def test_with_another_accounts_credentials_nothing_of_the_account_is_looked_at(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ACCOUNT", "999999999999")
    found = checks(checkout)
    assert found["credentials"].health is Health.WRONG
    assert "state bucket" not in found


def test_a_domain_that_leads_nowhere_is_told(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(doctor.socket, "getaddrinfo", unknown)
    assert checks(checkout)["domain, london"].health is Health.WRONG
