"""What an environment costs a month, by the price snapshot: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cutlass.contracts.prices import Prices

HOURS = 730
"""Of a month, as AWS counts."""

KEYS_PER_REGION = 4
"""tables, objects, messages, logs: see infra/000-base-network."""

WRITES_PER_DECISION = Decimal("1.31")
"""Write units of a decision far from its limit, refills and the ledger included (docs/simulation.md)."""

FUNCTION_SECONDS = Decimal("0.02")
"""Billed duration of a decision, an estimate until it is measured in AWS."""

LOG_KILOBYTES = Decimal("0.6")
"""Log lines of a decision: the function's own, the platform's report, the access log. An estimate."""

LEFT_OUT = (
    "data transfer, between regions too",
    "the price per call of a function, what reads streams, and scheduled functions",
    "storage of tables, backups, buckets and logs",
    "requests of keys, queues, mail and user pools",
    "health checks, alarms, dashboards, traces",
    "making reports, and what Athena reads for them",
    "firewall rules, free tiers, discounts, taxes",
)
"""What the figure does not hold."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the estimate, in US dollars a month; `region` is empty for what an environment has once."""

    what: str
    region: str
    usd: Decimal
    basis: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What is counted with: a month's decisions over all regions, spread evenly, and sizes of the environment."""

    regions: Sequence[str]
    decisions: int
    zones: int
    memory_megabytes: int
    firewall: bool


def estimate(prices: Prices, usage: Usage) -> list[Line]:
    """Return the lines of a month's bill."""
    lines = [
        Line("hosted zone", "", prices.usd("hosted_zone_month"), "1 zone"),
        Line("key of the state", "", prices.usd("key_month"), "1 key"),
    ]
    for region in usage.regions:
        lines += _fixed(prices, usage, region) + _used(prices, usage, region)
    return lines


def _fixed(prices: Prices, usage: Usage, region: str) -> list[Line]:
    endpoints = usage.zones * prices.usd("interface_endpoint_month")
    lines = [
        Line("NAT gateway", region, HOURS * prices.usd("nat_gateway_hour"), f"{HOURS} h"),
        Line("public address", region, HOURS * prices.usd("public_address_hour"), f"{HOURS} h"),
        Line("queue endpoint", region, endpoints, f"{usage.zones} zones"),
        Line("keys", region, KEYS_PER_REGION * prices.usd("key_month"), f"{KEYS_PER_REGION} keys"),
    ]
    if usage.firewall:
        lines.append(Line("firewall", region, prices.usd("firewall_month"), "1 web ACL, no rules counted"))
    return lines


def _used(prices: Prices, usage: Usage, region: str) -> list[Line]:
    decisions = Decimal(usage.decisions) / len(usage.regions)
    millions = decisions / 1_000_000
    writes = millions * WRITES_PER_DECISION
    copies = (len(usage.regions) - 1) * writes
    gigabytes = Decimal(usage.memory_megabytes) / 1024
    lines = [
        Line(
            "calls of the interface",
            region,
            millions * prices.usd("interface_requests_million"),
            f"{millions:,.2f} million",
        ),
        Line(
            "decisions' writes", region, writes * prices.usd("write_units_million"), f"{writes:,.2f} million units"
        ),
        Line(
            "copies of other regions",
            region,
            copies * prices.usd("replicated_write_units_million"),
            f"{copies:,.2f} million units",
        ),
        Line(
            "functions",
            region,
            decisions * FUNCTION_SECONDS * gigabytes * prices.usd("function_gigabyte_second"),
            f"{FUNCTION_SECONDS * 1000:.0f} ms at {usage.memory_megabytes} MB",
        ),
        Line("logs", region, millions * LOG_KILOBYTES * prices.usd("log_gigabyte"), f"{LOG_KILOBYTES} KB each"),
    ]
    if usage.firewall:
        requests = millions * prices.usd("firewall_requests_million")
        lines.append(Line("firewall's requests", region, requests, f"{millions:,.2f} million"))
    return lines
