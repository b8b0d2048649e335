"""Whatever Schemathesis makes of the document, the running gateway answers as the document says.

Every run has another seed, which is printed with a failure; `CUTLASS_TEST_SEED` repeats it. The examples of the
document are about an organisation of the test's own in place of the demo's.
"""

import json
import os
import random
from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings

from cutlass.contracts import load_openapi
from tests.e2e.running import Platform, eventually
from tests.support.unsaid import unsaid

SEED = int(os.environ.get("CUTLASS_TEST_SEED") or random.randrange(2**32))
ORG, USER = f"contract-{SEED}", "carol"
DOCUMENT = json.loads(json.dumps(load_openapi()).replace("org456", ORG).replace("test123", USER))
# Each zone is a case of its own, and each case a new period with its grants: four of some hundred show as much.
DOCUMENT["components"]["schemas"]["TimeZone"]["enum"] = [
    "UTC",
    "Europe/London",
    "Australia/Sydney",
    "Asia/Kolkata",
]

schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def session(platform: Platform) -> Iterator[requests.Session]:
    """Connections to the gateway, once it knows the organisation."""
    platform.json("org", "put", ORG, "--plan", "premium", "--home", "london")
    platform.json("user", "put", ORG, USER, "--limit", "requests=100000")
    look = {"org_id": ORG, "user_id": USER, "units": 0}
    eventually(lambda: platform.call("POST", "/usage-check", body=look).json()["allowed"], "it is known")
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.fixture(autouse=True)
def _told_seed() -> None:
    print(f"CUTLASS_TEST_SEED={SEED}")


@seed(SEED)
@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_fit_the_document(case: schemathesis.Case, platform: Platform, session: requests.Session) -> None:
    case.call_and_validate(
        base_url=platform.urls["london"],
        session=session,
        headers={"Authorization": f"Bearer {platform.token()}"},
        excluded_checks=unsaid(case),
    )


def test_the_demo_is_left_alone(platform: Platform, session: requests.Session) -> None:
    assert "org456" not in json.dumps(DOCUMENT)

    def kinds() -> set[str]:
        return {entry["kind"] for entry in platform.call("GET", f"/orgs/{ORG}/ledger?limit=100").json()["items"]}

    eventually(lambda: "decision" in kinds(), "an example reached the organisation")
