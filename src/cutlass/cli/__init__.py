"""The `cutlass` command: argument parsing and printing."""
