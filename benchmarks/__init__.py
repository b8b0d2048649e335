"""What a decision costs and how long it takes, measured beside its peers in one run (docs/benchmarks.md)."""
