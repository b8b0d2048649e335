"""API Gateway's usage plans and the keys in them. Source: AWS, "Amazon API Gateway REST API Reference"."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from botocore.credentials import Credentials

from cutlass.domain.errors import ConflictError, NotFoundError
from cutlass.storage.aws import API_GATEWAY, Aws, RefusedError

_PAGE = 500


class UsagePlans:
    """The usage plans and API keys of one region.

    Parameters
    ----------
    aws_region : str
        AWS's name of the region.
    endpoint : str, optional
        Where API Gateway is, when not at AWS's own address.
    credentials : Credentials, optional
        Whose calls they are; found in the surroundings unless given.
    """

    def __init__(
        self, aws_region: str, *, endpoint: str | None = None, credentials: Credentials | None = None
    ) -> None:
        self._aws = Aws(API_GATEWAY, aws_region, endpoint=endpoint, credentials=credentials)

    def plans(self) -> dict[str, str]:
        """Return the ids of the usage plans by name; raises what `call` raises."""
        return {plan["name"]: plan["id"] for plan in self._all("/usageplans")}

    def keys(self, prefix: str = "") -> dict[str, str]:
        """Return the ids of the API keys whose name begins so, by name; raises what `call` raises."""
        return {key["name"]: key["id"] for key in self._all("/apikeys", name=prefix)}

    def keys_in(self, plan_id: str, prefix: str = "") -> set[str]:
        """Return the keys in a usage plan whose name begins so; raises what `call` raises."""
        return {key["id"] for key in self._all(f"/usageplans/{plan_id}/keys", name=prefix)}

    def create(self, name: str, value: str) -> str:
        """Make a key and return its id; raises what `call` raises."""
        return str(self.call("POST", "/apikeys", {"name": name, "value": value, "enabled": True})["id"])

    def add(self, plan_id: str, key_id: str) -> None:
        """Put a key into a usage plan; raises what `call` raises."""
        self.call("POST", f"/usageplans/{plan_id}/keys", {"keyId": key_id, "keyType": "API_KEY"})

    def remove(self, plan_id: str, key_id: str) -> None:
        """Take a key out of a usage plan; raises what `call` raises."""
        self.call("DELETE", f"/usageplans/{plan_id}/keys/{key_id}")

    def _all(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        asked = {name: value for name, value in query.items() if value} | {"limit": str(_PAGE)}
        while True:
            page = self.call("GET", f"{path}?{urlencode(sorted(asked.items()))}")
            yield from page.get("item", [])
            if not page.get("position"):
                return
            asked["position"] = page["position"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises
        ------
        ConflictError, NotFoundError
            What is asked for is there already, or is not there.
        UnavailableError
            There is no answer, or AWS asks to come again later.
        RefusedError
            API Gateway refused the request itself.
        """
        try:
            return self._aws.request(method, path, body)
        except RefusedError as error:
            if error.answered == 409:
                raise ConflictError(error.message) from error
            if error.answered == 404:
                raise NotFoundError(error.message) from error
            raise
