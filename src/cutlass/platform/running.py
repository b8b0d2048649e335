"""The platform that runs in a home folder, as other processes see it."""

from dataclasses import dataclass
from typing import Any

from cutlass.platform.errors import NotRunningError, PlatformError
from cutlass.platform.home import Home, read_json
from cutlass.platform.local import ADDRESS
from cutlass.platform.processes import is_running

DEMO = {"org_id": "org456", "user_id": "test123"}
"""The organisation and user every platform comes with."""


@dataclass(frozen=True, slots=True)
class Running:
    """A platform whose supervisor is alive; `state` is what it wrote last."""

    home: Home
    state: dict[str, Any]

    @classmethod
    def find(cls, home: Home) -> "Running":
        """Return the platform that runs in `home`.

        Raises
        ------
        NotRunningError
            There is none.
        """
        state = read_json(home.state_file)
        if not state or not is_running(state["pid"], state["started"]):
            raise NotRunningError
        return cls(home, state)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return int(self.state["pid"])

    @property
    def phase(self) -> str:
        """One of `starting`, `ready`, `stopping`."""
        return str(self.state["phase"])

    @property
    def endpoint(self) -> str:
        """Address of the emulator."""
        return str(self.state["aws_endpoint"])

    @property
    def control(self) -> str:
        """Address of the replicator's control."""
        return str(self.state["control"])

    def url(self, region: str) -> str:
        """Return a gateway's address.

        Raises
        ------
        PlatformError
            There is no such region.
        """
        regions = self.state["regions"]
        if region not in regions:
            raise PlatformError(f"there is no region {region!r}", hint=f"there are: {', '.join(regions)}")
        return str(regions[region]["url"])

    def summary(self) -> dict[str, Any]:
        """Return what `cutlass up --json` prints."""
        return {
            "environment": self.state["environment"],
            "regions": self.state["regions"],
            "aws_endpoint": self.endpoint,
            "demo": DEMO,
        }


def address(port: int) -> str:
    """Return the address of a port of this machine."""
    return f"http://{ADDRESS}:{port}"
