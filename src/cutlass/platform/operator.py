"""The tables as an operator's commands reach them: of the platform on this machine, or in AWS."""

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_topology
from cutlass.platform.errors import PlatformError
from cutlass.platform.home import Home
from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.platform.running import Running
from cutlass.storage import Store
from cutlass.storage.settings import Settings

_TIMEOUT_SECONDS = 10.0

_PATIENCE_SECONDS = 3.0
"""How long an operator waits for a region that may be gone."""


def open_stores(environment: str | None) -> dict[str, Store]:
    """Open a store in every region: of an environment in AWS, or of the platform that runs in the home folder.

    In AWS the caller's own credentials are used, as botocore finds them. On this machine every region is reached
    directly, also while the network between them is cut.

    Raises
    ------
    NotRunningError
        No environment is given, and no platform runs.
    """
    topology = load_topology()
    endpoint = None if environment else Running.find(Home.from_environment()).endpoint
    peers = dict.fromkeys(topology.regions, endpoint) if endpoint else {}
    return {
        region: _open(Settings(environment or ENVIRONMENT, region, endpoint, peers, _TIMEOUT_SECONDS))
        for region in topology.regions
    }


def open_store_from(region: str, environment: str | None) -> Store:
    """Open the store of one region as it is seen from there.

    On this machine other regions are reached over the region's links, so that a cut of the network is one for the
    operator too.

    Raises
    ------
    NotRunningError
        No environment is given, and no platform runs.
    PlatformError
        There is no such region.
    """
    regions = load_topology().regions
    if region not in regions:
        raise PlatformError(f"there is no region {region!r}", hint=f"there are: {', '.join(regions)}")
    if environment is not None:
        return _open(Settings(environment, region, store_timeout_seconds=_PATIENCE_SECONDS))
    running = Running.find(Home.from_environment())
    links = running.state["links"][region]
    return _open(Settings(ENVIRONMENT, region, running.endpoint, links, _PATIENCE_SECONDS))


def _open(settings: Settings) -> Store:
    credentials = Credentials(ACCOUNT, "local") if settings.endpoint else None
    return Store(settings, load_catalogue(), load_topology(), credentials=credentials)
