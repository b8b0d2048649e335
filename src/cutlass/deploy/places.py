"""Where the interfaces of an environment are: on this machine, or as the deployed layers tell."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cutlass.deploy.cloud import Cloud
from cutlass.deploy.errors import DeployError
from cutlass.deploy.model import Project, Step, Workspace
from cutlass.deploy.smoke import Place
from cutlass.platform.home import Home
from cutlass.platform.running import Running
from cutlass.platform.tokens import client_token, new_service_token

LOCAL = "local"
"""The target that is the platform on this machine."""

_URL, _POOL = "api_gateway_invoke_url", "user_pool"


def local_places() -> list[Place]:
    """Return the gateways of the platform on this machine; raises a NotRunningError where there is none."""
    home = Home.from_environment()
    running = Running.find(home)
    return [
        Place(
            region,
            running.url(region),
            lambda region=region: new_service_token(home, running.endpoint, region).jwt,  # type: ignore[misc]
        )
        for region in running.state["regions"]
    ]


def deployed_places(
    project: Project, steps: tuple[Step, ...], cloud: Cloud, urls: Mapping[str, str]
) -> list[Place]:
    """Return the interfaces of the workspaces the steps are in, by the outputs of whichever layer tells them.

    Parameters
    ----------
    urls : mapping
        Addresses by region that are used instead of those of the outputs.

    Raises
    ------
    DeployError
        A workspace has no interface yet.
    """
    found = []
    for name in dict.fromkeys(step.workspace for step in steps):
        workspace = project.workspaces[name]
        outputs = workspace_outputs(project, workspace, cloud)
        if _URL not in outputs or _POOL not in outputs:
            raise DeployError(
                f"{name} has no interface yet: no layer tells {_URL}",
                hint=f"`cutlass deploy {workspace.environment}`",
            )
        url, pool = urls.get(workspace.region, str(outputs[_URL])), outputs[_POOL]
        found.append(
            Place(
                workspace.region,
                url,
                lambda workspace=workspace, pool=pool: _token(workspace, pool, cloud),  # type: ignore[misc]
            )
        )
    return found


def workspace_outputs(project: Project, workspace: Workspace, cloud: Cloud) -> dict[str, Any]:
    """Return the outputs of all layers of a workspace in one; the later layer's where two have one of a name."""
    backend = project.backends[workspace.environment]
    found: dict[str, Any] = {}
    for step in project.steps(workspace.environment):
        state = cloud.state(backend, step) if step.workspace == workspace.name else None
        if state is not None:
            found |= state.outputs
    return found


def _token(workspace: Workspace, pool: Mapping[str, Any], cloud: Cloud) -> str:
    client = str(pool["service_client_id"])
    told = cloud.call(
        "cognito-idp",
        workspace.aws_region,
        "describe_user_pool_client",
        UserPoolId=pool["id"],
        ClientId=client,
    )
    url = str(pool["token_url"])
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:  # an emulator answers at its own address, whatever the pool's domain
        url = endpoint.rstrip("/") + urlsplit(url).path
    return client_token(url, client, str(told["UserPoolClient"]["ClientSecret"])).jwt
