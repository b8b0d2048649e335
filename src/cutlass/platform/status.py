"""What the running platform is doing, asked of its processes."""

from typing import Any

from cutlass.platform.errors import PlatformError
from cutlass.platform.http import request

_PATIENCE_SECONDS = 1.0


def gather(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state, with counts per region and the replication's; None for what does not answer.

    Parameters
    ----------
    state : dict
        What `Supervisor.state` or `Running.state` gives.
    """
    regions = {
        name: region | {"counts": _ask(f"{region['url']}/_cutlass/counts")}
        for name, region in state["regions"].items()
    }
    return state | {"regions": regions, "replication": _ask(f"{state['control']}/state")}


def set_network(control: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Change the network between the regions and return its state.

    Raises
    ------
    PlatformError
        The replicator did not answer, or refused.
    """
    _, answer = request("PUT", f"{control}/wan", body=wanted, timeout=10)
    state: dict[str, Any] = answer
    return state


def _ask(url: str) -> Any:
    try:
        return request("GET", url, timeout=_PATIENCE_SECONDS)[1]
    except PlatformError:
        return None
