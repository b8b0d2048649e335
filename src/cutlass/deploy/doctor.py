"""Looks for what keeps a deployment from working, and names the command that mends it."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cutlass.deploy.cloud import Cloud
from cutlass.deploy.errors import CloudError, DeployError
from cutlass.deploy.git import revision
from cutlass.deploy.model import Project, Workspace
from cutlass.deploy.records import now
from cutlass.deploy.runs import check_credentials
from cutlass.deploy.source import settings
from cutlass.deploy.terraform import MIRROR_VARIABLE, binary

_LEAST_VERSION = (1, 11)
_LEAST_CONCURRENCY = 100
_CERTIFICATE_DAYS = 30
_CONCURRENT_EXECUTIONS = "L-B99A9384"
"""AWS's code of the quota of functions that run at once."""


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at; `fix` is the command or the change that mends it."""

    what: str
    health: Health
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return {"what": self.what, "health": str(self.health), "detail": self.detail, "fix": self.fix}


def examine(root: Path, project: Project, environment: str, profile: str | None) -> Iterator[Check]:
    """Yield every check of this machine and of an environment."""
    yield _terraform()
    yield _provider(root)
    yield _checkout(root)
    yield _packages(root)
    try:
        cloud = Cloud(profile)
        caller = check_credentials(cloud, project, environment)
    except DeployError as error:
        yield Check("credentials", Health.WRONG, error.message, error.hint or "")
        return
    yield Check("credentials", Health.OK, f"{caller.arn} of account {caller.account}")
    yield _told("state bucket", lambda: _bucket(cloud, project, environment, caller.account))
    yield _told("locks", lambda: _locks(cloud, project, environment))
    for workspace in project.of(environment):
        values = settings(root / "infra" / "shared" / "vars" / f"{workspace.name}.tfvars")
        yield _told(f"region {workspace.region}", lambda one=workspace: _region(cloud, one))  # type: ignore[misc]
        yield _told(f"quota of functions, {workspace.region}", lambda one=workspace: _quota(cloud, one))  # type: ignore[misc]
        arn = values.get("certificate_arn", "")
        yield _told(
            f"certificate, {workspace.region}",
            lambda one=workspace, arn=arn: _certificate(cloud, one, arn),  # type: ignore[misc]
        )
        yield _domain(workspace, values.get("domain_name", ""))


def _told(what: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except CloudError as error:
        return Check(what, Health.UNKNOWN, error.message, error.hint or "")


def _terraform() -> Check:
    try:
        program = binary()
    except DeployError as error:
        return Check("Terraform", Health.WRONG, error.message, error.hint or "")
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    quiet["CHECKPOINT_DISABLE"] = "1"
    done = subprocess.run(  # noqa: S603
        [program, "version", "-json"],
        capture_output=True,
        text=True,
        check=False,
        env=quiet | {"CHECKPOINT_DISABLE": "1"},
    )
    try:
        version = str(json.loads(done.stdout)["terraform_version"])
    except (ValueError, KeyError):
        return Check("Terraform", Health.UNKNOWN, f"{program} does not tell its version")
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST_VERSION:
        return Check("Terraform", Health.WRONG, f"{version} is too old", "install Terraform 1.11 or newer")
    return Check("Terraform", Health.OK, version)


def _provider(root: Path) -> Check:
    wanted = re.search(
        r'version\s*=\s*"([0-9.]+)"', (root / "infra/shared/versions.tf").read_text(encoding="utf-8")
    )
    version = wanted[1] if wanted else "*"
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror is None:
        return Check("AWS provider", Health.OK, f"{version}, from the registry at the first init")
    if any(Path(mirror).glob(f"*/hashicorp/aws/{version}")):
        return Check("AWS provider", Health.OK, f"{version}, from {mirror}")
    return Check(
        "AWS provider",
        Health.WRONG,
        f"{mirror} has no version {version}",
        f"unpack it there, or unset {MIRROR_VARIABLE}",
    )


def _checkout(root: Path) -> Check:
    found = revision(root)
    if found.commit is None:
        return Check("checkout", Health.WRONG, "is no git checkout: nothing could be promoted", "git clone")
    if not found.clean:
        return Check("checkout", Health.OK, f"{found.words}: prod would be refused")
    return Check("checkout", Health.OK, found.words)


def _packages(root: Path) -> Check:
    found = sorted((root / "build" / "lambda").glob("*/*.zip"))
    if found:
        return Check("packages of functions", Health.OK, f"{len(found)} in build/lambda")
    return Check("packages of functions", Health.WRONG, "none is built", "`cutlass package`")


def _bucket(cloud: Cloud, project: Project, environment: str, account: str) -> Check:
    bucket = project.backends[environment].bucket
    if cloud.bucket_exists(project.backends[environment], account):
        return Check("state bucket", Health.OK, bucket)
    return Check("state bucket", Health.WRONG, f"there is no {bucket}", f"`cutlass bootstrap {environment}`")


def _locks(cloud: Cloud, project: Project, environment: str) -> Check:
    held = {step: cloud.lock(project.backends[environment], step) for step in project.steps(environment)}
    words = [f"{step} {lock.words(now())}" for step, lock in held.items() if lock is not None]
    if not words:
        return Check("locks", Health.OK, "none is held")
    return Check("locks", Health.WRONG, "; ".join(words), "wait, or `cutlass unlock` what a dead run holds")


def _region(cloud: Cloud, workspace: Workspace) -> Check:
    what = f"region {workspace.region}"
    answer = cloud.call(
        "ec2", workspace.aws_region, "describe_regions", RegionNames=[workspace.aws_region], AllRegions=True
    )
    status = answer["Regions"][0].get("OptInStatus", "opt-in-not-required") if answer["Regions"] else "unknown"
    if status == "not-opted-in":
        fix = f"`aws account enable-region --region-name {workspace.aws_region}`"
        return Check(what, Health.WRONG, f"{workspace.aws_region} is not enabled in the account", fix)
    return Check(what, Health.OK, workspace.aws_region)


def _quota(cloud: Cloud, workspace: Workspace) -> Check:
    what = f"quota of functions, {workspace.region}"
    answer = cloud.call(
        "service-quotas",
        workspace.aws_region,
        "get_service_quota",
        ServiceCode="lambda",
        QuotaCode=_CONCURRENT_EXECUTIONS,
    )
    value = int(answer["Quota"]["Value"])
    if value < _LEAST_CONCURRENCY:
        fix = (
            f"`aws service-quotas request-service-quota-increase --region {workspace.aws_region}"
            f" --service-code lambda --quota-code {_CONCURRENT_EXECUTIONS} --desired-value 1000`"
        )
        return Check(what, Health.WRONG, f"{value} at once", fix)
    return Check(what, Health.OK, f"{value} at once")


def _certificate(cloud: Cloud, workspace: Workspace, arn: str) -> Check:
    what = f"certificate, {workspace.region}"
    try:
        answer = cloud.call("acm", workspace.aws_region, "describe_certificate", CertificateArn=arn)
    except CloudError as error:
        if "ResourceNotFound" not in error.message:
            raise
        fix = f"`aws acm request-certificate --region {workspace.aws_region} --domain-name …`"
        return Check(what, Health.WRONG, f"{arn} is not there", fix + ", and its ARN into the variable file")
    told: dict[str, Any] = answer["Certificate"]
    if told.get("Status") != "ISSUED":
        fix = "add the records it asks for to the domain's zone, and wait until it is issued"
        return Check(what, Health.WRONG, f"is {told.get('Status')}", fix)
    until = told.get("NotAfter")
    days = (until - datetime.now(UTC)).days if isinstance(until, datetime) else _CERTIFICATE_DAYS
    if days < _CERTIFICATE_DAYS:
        fix = "keep its validation records in the zone: AWS renews it by them"
        return Check(what, Health.WRONG, f"ends in {days} days", fix)
    return Check(what, Health.OK, "issued")


def _domain(workspace: Workspace, domain: str) -> Check:
    what = f"domain, {workspace.region}"
    if domain.endswith("your-domain.com"):
        fix = f"set domain_name in infra/shared/vars/{workspace.name}.tfvars"
        return Check(what, Health.WRONG, f"{domain} is the placeholder", fix)
    try:
        socket.getaddrinfo(domain, 443)
    except OSError:
        fix = f"`cutlass outputs {workspace.environment}` shows name_servers: enter them at the registrar"
        return Check(what, Health.WRONG, f"{domain} does not resolve", fix)
    return Check(what, Health.OK, domain)
