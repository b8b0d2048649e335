"""Where a function runs: the environment variables, the only thing that differs between platforms."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cutlass.domain.errors import ContractError


@dataclass(frozen=True, slots=True)
class Settings:
    """A function's surroundings.

    Attributes
    ----------
    environment, region : str
        `dev`, `staging` or `prod`; and the region's name in `contracts/regions.yaml`.
    endpoint : str or None
        Where AWS is, when not at AWS's own addresses.
    peer_endpoints : Mapping[str, str]
        The same for calls to another region, by its name.
    store_timeout_seconds : float
        How long one request may wait for the store altogether.
    mail_from : str
        The address mail is sent from; empty where none is sent.
    loopback_webhooks : bool
        Whether webhooks may be on this machine, and without TLS: for the local platform alone.
    account : str
        The AWS account, with which the names of buckets end.
    """

    environment: str
    region: str
    endpoint: str | None = None
    peer_endpoints: Mapping[str, str] = field(default_factory=dict)
    store_timeout_seconds: float = 2.0
    mail_from: str = ""
    loopback_webhooks: bool = False
    account: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; raises `ContractError` that names the variable that is missing or wrong."""
        try:
            return cls(
                environment=environ["CUTLASS_ENVIRONMENT"],
                region=environ["CUTLASS_REGION"],
                endpoint=environ.get("AWS_ENDPOINT_URL"),
                peer_endpoints=json.loads(environ.get("CUTLASS_PEER_ENDPOINTS", "{}")),
                store_timeout_seconds=float(environ.get("CUTLASS_STORE_TIMEOUT_SECONDS", "2")),
                mail_from=environ.get("CUTLASS_MAIL_FROM", ""),
                loopback_webhooks=environ.get("CUTLASS_LOOPBACK_WEBHOOKS") == "yes",
                account=environ.get("CUTLASS_ACCOUNT", ""),
            )
        except KeyError as missing:
            raise ContractError(f"environment variable {missing.args[0]} is not set") from None
        except ValueError as wrong:
            raise ContractError(f"an environment variable has a wrong value: {wrong}") from None

    def table(self, name: str) -> str:
        """The full name of a table of `contracts/tables.yaml`."""
        return f"cutlass-tech-{name}-{self.environment}"

    def queue(self, name: str) -> str:
        """The full name of a queue of `contracts/functions.yaml`, in this region."""
        return f"cutlass-tech-{name}-{self.environment}-{self.region}"

    def bucket(self, name: str, region: str | None = None, *, copy: bool = False) -> str:
        """The full name of a bucket of `contracts/buckets.yaml`: this region's, another's, or the copy of one."""
        what = f"{name}-copy" if copy else name
        return f"cutlass-tech-{what}-{self.environment}-{region or self.region}-{self.account}"
