"""Check every contract file: `python -m cutlass.contracts`."""

import sys
from collections.abc import Callable

from cutlass.contracts import (
    load_archive,
    load_buckets,
    load_catalogue,
    load_emails,
    load_functions,
    load_openapi,
    load_prices,
    load_reports,
    load_tables,
    load_topology,
)
from cutlass.contracts.openapi import check_names
from cutlass.domain.errors import ContractError

_LOADERS: tuple[Callable[[], object], ...] = (
    load_topology,
    load_catalogue,
    load_tables,
    load_buckets,
    load_archive,
    load_functions,
    load_emails,
    load_reports,
    load_openapi,
    check_names,
    load_prices,
)


def main() -> int:
    """Print one line per problem to stderr; return 1 when there is any."""
    problems: list[str] = []
    for load in _LOADERS:
        try:
            load()
        except ContractError as error:
            # A file that others refer to is reported once, not again by each of them.
            problems += [line for line in error.message.splitlines() if line not in problems]
    for problem in problems:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
