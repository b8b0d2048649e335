"""What bad input gets: a plan that fails and says what to do."""

import functools
import json
import re

import pytest

from tests.infra.plans import WORKSPACES, Outcome, planner

pytestmark = pytest.mark.usefixtures("terraform")

NETWORK, DATA, COMPUTE = "000-base-network", "100-data-layer", "200-compute-layer"
MESSAGING, GLOBAL = "400-messaging-layer", "900-global-services"

VARIABLES = {
    "unknown environment": ("environment=test", r"there are variable files for dev, prod, staging"),
    "unknown region": ("region=paris", r"contracts/regions\.yaml has no region \"paris\"; it has london, sydney"),
    "wrong workspace": (
        "region=sydney",
        (
            r"This is workspace dev-london, and the variables are those of dev-sydney\. Either run "
            r"`terraform workspace select -or-create dev-sydney`, or pass -var-file=vars/dev-london\.tfvars"
        ),
    ),
    "wrong AWS region": (
        "aws_region=us-east-1",
        r"london in eu-west-2\. Correct aws_region in vars/dev-london\.tfvars",
    ),
    "account without its zeros": ("aws_account_id=11111111", r"twelve digits in quotation marks"),
    "account of another environment": (
        "aws_account_id=333333333333",
        r"not the account the variable files give dev",
    ),
    "account of nobody": ("aws_account_id=999999999999", r"not the account the variable files give dev"),
    "VPC that is no network": ("vpc_cidr=10.0.0.1/16", r"with the bits after the prefix zero"),
    "VPC too large": ("vpc_cidr=10.0.0.0/8", r"its prefix has to be /16 to /24"),
    "VPC of public addresses": ("vpc_cidr=52.0.0.0/16", r"take it from a private range"),
    "VPC of another workspace": (
        "vpc_cidr=10.1.0.0/16",
        r"overlaps that of another workspace.*10\.1\.0\.0/16 \(dev-sydney\)",
    ),
    "VPC inside another workspace's": ("vpc_cidr=10.3.128.0/20", r"overlaps that of another workspace"),
    "one public subnet": ('public_subnet_cidrs=["10.0.1.0/24"]', r"has to have two, one per availability zone"),
    "public subnet outside": (
        'public_subnet_cidrs=["10.0.1.0/24", "10.9.2.0/24"]',
        r"inside vpc_cidr 10\.0\.0\.0/16",
    ),
    "private subnet outside": (
        'private_subnet_cidrs=["10.9.3.0/24", "10.0.4.0/24"]',
        r"inside vpc_cidr 10\.0\.0\.0/16",
    ),
    "three private subnets": (
        'private_subnet_cidrs=["10.0.3.0/24", "10.0.4.0/24", "10.0.5.0/24"]',
        r"has 3 entries; it has to have two",
    ),
    "subnets that overlap": (
        'private_subnet_cidrs=["10.0.2.128/25", "10.0.4.0/24"]',
        r"two overlap; give each a range of its own",
    ),
    "more kept waiting than is reserved": ("decision_provisioned_concurrency=401", r"whole number from 0 to 400"),
    "too little memory": ("lambda_memory_size=64", r"whole megabytes from 128 to 10240"),
    "retention CloudWatch has not": ("log_retention_days=8", r"CloudWatch keeps logs for 1, 3, 5, 7, 14"),
    "stage with a slash": ("api_gateway_stage=a/b", r"letters, digits, hyphens and underscores"),
    "domain with a scheme": ("domain_name=https://api.example.com", r"without a scheme or a path"),
    "domain of another workspace": ("domain_name=api-sydney.your-domain.com", r"is another workspace's too"),
    "global domain with a path": ("global_domain_name=api-dev.your-domain.com/v1", r"without a scheme or a path"),
    "global domain under another parent": (
        "global_domain_name=api-dev.example.com",
        r"different parents, and one certificate and one delegation serve both\. Put both under one domain",
    ),
    "global domain of another environment": (
        "global_domain_name=api.your-domain.com",
        r"is not the one the variable files give dev, or is another environment's too",
    ),
    "global domain of one region": (
        "global_domain_name=api-dev-london.your-domain.com",
        r"is the domain of one region too",
    ),
    "validation record of another environment": (
        'certificate_validation_records=[{name="_1.api.your-domain.com", value="_2.acm-validations.aws"}]',
        r"one is under no zone of dev.*The zones are api-dev\.your-domain\.com, api-dev-london\.your-domain\.com",
    ),
    "validation record that is none of ACM's": (
        'certificate_validation_records=[{name="_1.api-dev.your-domain.com", value="example.com"}]',
        r"those of ACM end with acm-validations\.aws",
    ),
    "unknown routing policy": ("routing_policy=weighted", r"it has to be geolocation, latency or failover"),
    "drained region that is none": (
        'drained_regions=["paris"]',
        r"has paris, which contracts/regions\.yaml",
    ),
    "every region drained": ('drained_regions=["london", "sydney"]', r"none would be left to answer"),
    "nobody to tell": ("operator_emails=[]", r"nobody learns of an alarm"),
    "address without a domain": ('operator_emails=["ops"]', r"each has to be an e-mail address"),
    "budget of nothing": ("monthly_budget_usd=0", r"whole dollars, from 1 to 1000000"),
    "certificate that is none": ("certificate_arn=none", r"has to be the ARN of a certificate in ACM"),
    "certificate of another region": (
        "certificate_arn=arn:aws:acm:us-east-1:111111111111:certificate/00000000-0000-0000-0000-000000000000",
        r"the certificate has to be in region eu-west-2 of account 111111111111\. Request one there",
    ),
    "prod without enhanced security": (
        "enable_enhanced_security=false",
        r"off in prod; set it to true in vars/prod-london\.tfvars",
    ),
}
"""Bad values of one variable each, and what the plan has to say."""


@functools.cache
def rules() -> str:
    """Return a layer that has the variables of all layers and no resources, so that planning takes no time."""
    terraform = planner().terraform
    folder = terraform.layer("rules")
    folder.mkdir()
    for name in ("variables.tf", "names.tf", "vars"):
        (folder / name).symlink_to(f"../shared/{name}")
    provider = 'required_providers {\n    terraform = { source = "terraform.io/builtin/terraform" }\n  }'
    source = f"terraform {{\n  {provider}\n}}\n"
    (folder / "versions.tf").write_text(source, encoding="utf-8")
    terraform.init(folder.name)
    return folder.name


def refusal(workspace: str, *options: str) -> str:
    """Plan the rules alone and return what was said, on one line; nothing if the plan was let pass."""
    done = planner().terraform.attempt(rules(), "plan", "-json", *options, workspace=workspace)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event["diagnostic"] for event in events if event["type"] == "diagnostic"]
    assert bool(done.returncode) == bool(told), done.stdout + done.stderr
    return " ".join(" ".join(f"{part['summary']}: {part['detail']}" for part in told).split())


@pytest.mark.parametrize("name", VARIABLES)
def test_a_bad_value_fails_with_what_to_do(name: str) -> None:
    value, message = VARIABLES[name]
    workspace = name.split(maxsplit=1)[0] + "-london" if name.startswith("prod") else "dev-london"
    told = refusal(workspace, f"-var-file=vars/{workspace}.tfvars", f"-var={value}")
    assert re.search(message, told), told or "the plan was let pass"


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_every_variable_file_is_good(workspace: str) -> None:
    assert not refusal(workspace, f"-var-file=vars/{workspace}.tfvars")


def test_a_missing_variable_is_named() -> None:
    variables = planner().terraform.layer(rules()) / "vars/dev-london.tfvars"
    lines = [line for line in variables.read_text(encoding="utf-8").splitlines() if "domain_name" not in line]
    short = planner().terraform.folder / "short.tfvars"
    short.write_text("\n".join(lines), encoding="utf-8")
    assert 'The root module input variable "domain_name" is not set' in refusal("dev-london", f"-var-file={short}")


MISSING = 'override_data {\n  target = data.aws_s3_objects.state["%s"]\n  values = { keys = [] }\n}\n'
EMPTY = 'override_data {\n  target = data.terraform_remote_state.this["%s"]\n  values = { outputs = {} }\n}\n'


def attempt(layer: str, workspace: str, cases: dict[str, tuple[str, str]]) -> Outcome:
    """Plan once per case: the layer's own mocks, more overrides, and what is in the run."""
    folder = planner().terraform.layer(layer) / "tests" / f"guards-{workspace}"
    folder.mkdir()
    mocks = (folder.parent / "layer.tftest.hcl").read_text(encoding="utf-8").partition("\nrun ")[0]
    # Overrides are a file's, and a file starts the provider anew: cases with the same ones share a file.
    files: dict[str, str] = {}
    for name, (overrides, run) in cases.items():
        files.setdefault(overrides, f"{without(mocks, overrides)}\n{overrides}\n")
        files[overrides] += f'run "{slug(name)}" {{\n  command = plan\n{run}\n}}\n'
    for number, text in enumerate(files.values()):
        (folder / f"{number}.tftest.hcl").write_text(text, encoding="utf-8")
    return planner().test(layer, workspace, f"-test-directory=tests/{folder.name}", verbose=False)


def without(mocks: str, overrides: str) -> str:
    """Take out of the mocks what is overridden anew: Terraform takes no target twice."""
    for target in re.findall(r"^  target += (\S+)$", overrides, re.MULTILINE):
        mocks = re.sub(
            rf"^override_data {{\n  target = {re.escape(target)}\n.*?^}}\n",
            "",
            mocks,
            flags=re.MULTILINE | re.DOTALL,
        )
    return mocks


def slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower())


def said(outcome: Outcome, name: str) -> str:
    """Return what the plan said to a case, on one line."""
    return " ".join(" ".join(outcome.errors.get(slug(name), [])).split())


ORDER = {
    "London's data not applied": (
        MISSING % "home",
        (
            r"dev-sydney of 100-data-layer needs 100-data-layer in dev-london, which has never been applied\..*"
            r"terraform workspace select -or-create dev-london terraform apply -var-file=vars/dev-london\.tfvars"
        ),
    ),
    "London's data destroyed": (
        EMPTY % "home",
        r"100-data-layer in dev-london is destroyed or was applied in part only",
    ),
    "own network not applied": (
        MISSING % "network-sydney",
        r"needs 000-base-network in dev-sydney, which has never been applied",
    ),
}


@functools.cache
def order() -> Outcome:
    return attempt(DATA, "dev-sydney", {name: (overrides, "") for name, (overrides, _) in ORDER.items()})


@pytest.mark.parametrize("name", ORDER)
def test_sydney_waits_for_london_and_a_layer_for_those_below(name: str) -> None:
    told = said(order(), name)
    assert re.search(ORDER[name][1], told), told or "the plan was let pass"


def test_bootstrap_is_applied_in_the_home_region_only() -> None:
    outcome = attempt("bootstrap", "dev-sydney", {"Sydney": ("", "")})
    told = said(outcome, "Sydney")
    assert re.search(
        r"once per account, in the home region: terraform workspace select -or-create dev-london", told
    ), told


UNPROTECTED = """
  variables {
    allow_data_destruction = true
  }

  assert {
    condition     = %s
    error_message = "allow_data_destruction has to take the protection off."
  }
"""

DESTRUCTION = {
    (NETWORK, "prod-sydney"): 'strcontains(aws_kms_key.this["tables"].policy, "kms:ScheduleKeyDeletion")',
    (DATA, "prod-london"): "!anytrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled])",
    (DATA, "prod-sydney"): "length(aws_dynamodb_resource_policy.replica) == 0",
}


@pytest.mark.parametrize(
    ("layer", "workspace"),
    [pytest.param(*place) for place in DESTRUCTION],
)
def test_data_may_be_destroyed_after_a_first_step(layer: str, workspace: str) -> None:
    outcome = attempt(layer, workspace, {"allowed": ("", UNPROTECTED % DESTRUCTION[layer, workspace])})
    assert not outcome.errors


UNTOLD = """override_data {
  target = data.terraform_remote_state.this["%s"]
  values = {
    outputs = { workspace = "applied", %s }
  }
}
"""
DOMAIN = '{ target_domain_name = "d.example.com", target_zone_id = "Z" }'

LATER = {
    (COMPUTE, "dev-london", "data without the bucket"): (
        UNTOLD % ("data", "tables = {}"),
        r"100-data-layer in dev-london does not tell a bucket of packages yet\. In infra/100-data-layer, apply it",
    ),
    (MESSAGING, "dev-london", "compute without the function"): (
        UNTOLD % ("compute", 'functions = {}, queues = { stream-failures = { arn = "arn" } }'),
        r"starts stream-recovery by the queue stream-failures, and 200-compute-layer in dev-london does not know",
    ),
    (GLOBAL, "dev-london", "region without its domain"): (
        UNTOLD % ("api-sydney", f"global_domain = {DOMAIN}"),
        r"300-api-layer in dev-sydney does not tell the domain of its region\. In infra/300-api-layer, apply it",
    ),
    (GLOBAL, "dev-london", "region that is not global"): (
        UNTOLD % ("api-sydney", f"custom_domain = {DOMAIN}"),
        r"300-api-layer in dev-sydney does not answer to api-dev\.your-domain\.com",
    ),
    (GLOBAL, "dev-london", "region without its queues"): (
        MISSING % "messaging-sydney",
        r"dev-london of 900-global-services needs 400-messaging-layer in dev-sydney, which has never been applied",
    ),
    (GLOBAL, "dev-sydney", "not at home"): (
        "",
        r"once per environment, in the home region: terraform workspace select -or-create dev-london",
    ),
}


@functools.cache
def later(layer: str, workspace: str) -> Outcome:
    cases = {
        name: (overrides, "")
        for (of, where, name), (overrides, _) in LATER.items()
        if (of, where) == (layer, workspace)
    }
    return attempt(layer, workspace, cases)


@pytest.mark.parametrize(("layer", "workspace", "name"), LATER)
def test_a_layer_says_what_those_below_lack(layer: str, workspace: str, name: str) -> None:
    told = said(later(layer, workspace), name)
    assert re.search(LATER[layer, workspace, name][1], told), told or "the plan was let pass"
