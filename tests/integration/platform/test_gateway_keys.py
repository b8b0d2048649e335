"""Organisations' keys at an API Gateway: made once, moved with the plan, and mended by the schedule."""

from datetime import timedelta

import pytest
from botocore.credentials import Credentials

from cutlass.api.gateway_keys import key_name, organisation_key, plan_name
from cutlass.api.usage_plans import UsagePlans
from cutlass.contracts import load_catalogue, load_tables, load_topology
from cutlass.functions import gateway_keys
from cutlass.platform.local import ACCOUNT
from cutlass.platform.provision import ensure_table
from cutlass.storage import Store
from cutlass.storage.settings import Settings
from tests.integration.platform.emulators import LONDON, Emulator
from tests.support.permissions import acting

CREDENTIALS = Credentials(ACCOUNT, "local")


@pytest.fixture
def store(own_emulator: Emulator) -> Store:
    endpoint = own_emulator.endpoint
    for wire in own_emulator.wires().values():
        for table in load_tables().values():
            ensure_table(wire, table)
    settings = Settings("dev", "london", endpoint, dict.fromkeys(load_topology().regions, endpoint))
    return Store(settings, load_catalogue(), load_topology(), credentials=CREDENTIALS)


@pytest.fixture
def gateway(own_emulator: Emulator) -> UsagePlans:
    return UsagePlans(LONDON, endpoint=own_emulator.endpoint, credentials=CREDENTIALS)


def with_plans(gateway: UsagePlans) -> dict[str, str]:
    """Make the usage plans that layer 300 makes, and return their ids by plan."""
    names = {plan: plan_name(plan, "dev", "london") for plan in load_catalogue().plans}
    return {plan: gateway.call("POST", "/usageplans", {"name": name})["id"] for plan, name in names.items()}


def where(gateway: UsagePlans, plans: dict[str, str]) -> dict[str, list[str]]:
    """Return the plans of every key, by the key's name."""
    inside = {plan: gateway.keys_in(plan_id) for plan, plan_id in plans.items()}
    return {
        name: [plan for plan, key_ids in inside.items() if key_id in key_ids]
        for name, key_id in gateway.keys().items()
    }


def test_an_organisation_has_one_key_in_the_plan_of_its_plan(store: Store, gateway: UsagePlans) -> None:
    plans, name = with_plans(gateway), key_name("a@b:c", "dev", "london")
    organisation, _ = store.organisations.put("a@b:c", plan="basic", home_region="london")
    for _ in range(2):
        with acting("gateway-keys", "london"):
            gateway_keys.keep(store, gateway, organisation)
        assert where(gateway, plans) == {name: ["basic"]}
    (key,) = gateway.call("GET", "/apikeys?includeValues=true")["item"]
    assert key["value"] == organisation_key("a@b:c")

    upgraded, _ = store.organisations.put("a@b:c", plan="enterprise", home_region="london")
    for _ in range(2):
        gateway_keys.keep(store, gateway, upgraded)
        assert where(gateway, plans) == {name: ["enterprise"]}


def test_the_schedule_mends_what_the_stream_missed(store: Store, gateway: UsagePlans) -> None:
    for org_id, plan in {"one": "basic", "two": "premium", "three": "enterprise"}.items():
        store.organisations.put(org_id, plan=plan, home_region="london")
    assert gateway_keys.keep_all(store, gateway) == 0, "there are no usage plans yet, and that is no failure"
    assert gateway.keys() == {}

    plans = with_plans(gateway)
    expected = {
        key_name("one", "dev", "london"): ["basic"],
        key_name("two", "dev", "london"): ["premium"],
        key_name("three", "dev", "london"): ["enterprise"],
    }
    with acting("gateway-keys", "london"):
        assert gateway_keys.keep_all(store, gateway) == 3
    assert where(gateway, plans) == expected
    assert gateway_keys.keep_all(store, gateway) == 0

    moved = gateway.keys()[key_name("two", "dev", "london")]
    gateway.remove(plans["premium"], moved)
    gateway.add(plans["basic"], moved)
    assert gateway_keys.keep_all(store, gateway) == 1
    assert where(gateway, plans) == expected


def test_a_plan_that_begins_later_moves_the_key_then(store: Store, gateway: UsagePlans) -> None:
    plans, name = with_plans(gateway), key_name("one", "dev", "london")
    store.organisations.put("one", plan="premium", home_region="london")
    store.organisations.put("one", plan="basic", home_region="london")
    gateway_keys.keep_all(store, gateway)
    assert where(gateway, plans) == {name: ["premium"]}
    now = store.clock()
    store.clock = lambda: now + timedelta(days=32)
    gateway_keys.keep_all(store, gateway)
    assert where(gateway, plans) == {name: ["basic"]}
