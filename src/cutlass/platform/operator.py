"""The tables as an operator's commands reach them: of the platform on this machine, or in AWS."""

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_topology
from cutlass.platform.home import Home
from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.platform.running import Running
from cutlass.storage import Store
from cutlass.storage.settings import Settings

_TIMEOUT_SECONDS = 10.0


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
    endpoint, credentials = None, None
    if environment is None:
        environment, endpoint = ENVIRONMENT, Running.find(Home.from_environment()).endpoint
        credentials = Credentials(ACCOUNT, "local")
    peers = dict.fromkeys(topology.regions, endpoint) if endpoint else {}
    return {
        region: Store(
            Settings(environment, region, endpoint, peers, _TIMEOUT_SECONDS),
            load_catalogue(),
            topology,
            credentials=credentials,
        )
        for region in topology.regions
    }
