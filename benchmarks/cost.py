"""What decisions ask of DynamoDB, counted in simulated time: an hour's pattern without an hour's waiting."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.stage import REGION, running_engine
from cutlass.functions import terms
from tests.support.world import World

SECONDS = 180
"""Simulated seconds; the stream's consumer runs once in each, which is its batch window."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The average decision of one user at a steady rate, after its first; all figures are per decision.

    Attributes
    ----------
    steady_share : float
        Decisions that were exactly one request of one write unit, and no read.
    requests, write_units, read_units
        Of the decisions themselves, refills included.
    refill_share : float
        Decisions that needed a refill, which is one transaction and the reads before it.
    segment_writes, rollup_writes, trim_writes : float
        Writes of the consumer to the ledger, transactions on the usage, and rings trimmed.
    metering_write_units : float
        Write units of the consumer.
    """

    engine: str
    rate: int
    decisions: int
    steady_share: float
    requests: dict[str, float]
    write_units: float
    read_units: float
    refill_share: float
    segment_writes: float
    rollup_writes: float
    trim_writes: float
    metering_write_units: float

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as JSON."""
        return asdict(self)


def count(engine_name: str, rate: int) -> Cost:
    """Count for one user of an otherwise idle organisation, at `rate` decisions per second."""
    terms.logger.setLevel("WARNING")
    with running_engine(engine_name) as engine:
        world = World(engine)
        world.found(plan="enterprise")
        world.check()
        world.records(REGION, "usage-credits", "meter")
        requests: Counter[str] = Counter()
        decided: Counter[str] = Counter()
        metered: Counter[str] = Counter()
        units: Counter[str] = Counter()
        for _ in range(SECONDS):
            for _ in range(rate):
                with world.counting(REGION) as tally:
                    if not world.check().allowed:
                        raise RuntimeError("a decision was refused where there is plenty")
                requests.update(tally.requests)
                units.update(write=tally.write_units, read=tally.read_units)  # type: ignore[call-overload]
                lean = (dict(tally.requests), tally.write_units, tally.read_units) == ({"UpdateItem": 1}, 1, 0)
                decided.update(steady=lean, refill="TransactWriteItems" in tally.requests, all=1)
                world.pass_time(seconds=1 / rate)
            with world.counting(REGION) as tally:
                told = world.stores[REGION].meter.record(world.records(REGION, "usage-credits", "meter"))
            metered.update(segments=told.segments, rollups=told.rollups, trims=told.trims)
            units.update(metering=tally.write_units)  # type: ignore[call-overload]
    total = decided["all"]
    return Cost(
        engine=engine_name,
        rate=rate,
        decisions=total,
        steady_share=round(decided["steady"] / total, 4),
        requests={name: round(number / total, 4) for name, number in requests.items()},
        write_units=round(units["write"] / total, 4),
        read_units=round(units["read"] / total, 4),
        refill_share=round(decided["refill"] / total, 4),
        segment_writes=round(metered["segments"] / total, 4),
        rollup_writes=round(metered["rollups"] / total, 4),
        trim_writes=round(metered["trims"] / total, 4),
        metering_write_units=round(units["metering"] / total, 4),
    )
