"""Whose tokens are accepted: each region's user pool, as an item of the organisations table.

Every region writes its own item when its user pool is made (layer 300, or the local platform), and reads all of
them from its own copy of the table: it knows the others' however they were made, and while they are down.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cutlass.domain.errors import UnavailableError
from cutlass.storage import keys
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import Dynamo, DynamoError


@dataclass(frozen=True, slots=True)
class Issuer:
    """A user pool whose tokens are accepted, for the clients named; `name` is the `iss` of its tokens."""

    name: str
    clients: frozenset[str]


def issuer_item(region: str, issuer: Issuer) -> Item:
    """Return the item by which a region tells all others of its user pool."""
    pk, sk = keys.issuer(region)
    return {"pk": pk, "sk": sk, "issuer": issuer.name, "clients": sorted(issuer.clients)}


class Issuers:
    """The issuers of all regions, as one region's copy of the organisations table has them."""

    def __init__(self, dynamo: Dynamo, table: str, regions: Iterable[str]) -> None:
        self._dynamo = dynamo
        self._table = table
        self._keys = [keys.issuer(region) for region in regions]

    def read(self) -> dict[str, Issuer]:
        """Return the issuers that are known by now, by name.

        Raises
        ------
        UnavailableError
            The table does not answer.
        """
        try:
            items = self._dynamo.batch_get({self._table: self._keys}, consistent=False)
        except DynamoError as error:
            raise UnavailableError("the table of the token issuers cannot be read") from error
        return {item["issuer"]: Issuer(item["issuer"], frozenset(item["clients"])) for item in items.values()}
