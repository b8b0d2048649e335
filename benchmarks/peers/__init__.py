"""Cutlass and other ways to keep a limit on DynamoDB, measured in one run: `make bench` (docs/benchmarks.md)."""
