"""`contracts/prices.yaml`: what AWS asked for things on a day, each with the page it was read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Document, Node

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_AMOUNT = r"[0-9]+(\.[0-9]+)?"


@dataclass(frozen=True, slots=True)
class Price:
    """A price in US dollars for one `per`; `source` is the page's address, `assumed` says what is not on it."""

    name: str
    usd: Decimal
    per: str
    source: str
    assumed: str | None


@dataclass(frozen=True, slots=True)
class Prices:
    """A snapshot: list prices of one AWS region, as read on a day."""

    as_of: str
    aws_region: str
    prices: Mapping[str, Price]

    def usd(self, name: str) -> Decimal:
        """Return a price in US dollars."""
        return self.prices[name].usd


@read_once
def load_prices(folder: Path) -> Prices:
    """Return the prices."""
    document = Document(folder, "prices.yaml")
    fields = document.root.fields(["as_of", "aws_region", "prices"])
    prices = {name: _price(name, node) for name, node in fields["prices"].entries(r"[a-z][a-z0-9_]*").items()}
    found = Prices(fields["as_of"].text(_DAY), fields["aws_region"].text(), MappingProxyType(prices))
    document.finish()
    return found


def _price(name: str, node: Node) -> Price:
    fields = node.fields(["usd", "per", "source"], ["assumed"])
    amount = fields["usd"].text(_AMOUNT)
    assumed = fields.get("assumed")
    return Price(
        name,
        Decimal(amount) if amount else Decimal(0),
        fields["per"].text(),
        fields["source"].text(r"https://\S+"),
        assumed.text() if assumed is not None else None,
    )
