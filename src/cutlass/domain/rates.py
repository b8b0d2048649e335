"""Rates: how fast units are spent, estimated from cumulative counters; a hint that no right depends on."""

WINDOW_MS = 10_000
"""What happened longer ago than this counts for less than half."""


def blend(rate: int, units: int, elapsed_ms: int) -> int:
    """Estimate a rate anew after `units` more in `elapsed_ms`, in thousandths of a unit per second.

    An exponentially weighted mean whose weights are whole fractions, so that it is the same everywhere and
    a moment between two measurements never makes it jump.
    """
    elapsed = max(0, elapsed_ms)
    return (max(0, rate) * WINDOW_MS + max(0, units) * 1_000_000) // (WINDOW_MS + elapsed)


def spent_in(rate: int, span_ms: int) -> int:
    """Units spent in a span of time at a rate."""
    return rate * max(0, span_ms) // 1_000_000
