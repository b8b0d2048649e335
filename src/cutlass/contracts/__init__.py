"""The loader of `contracts/`: plain data in, validated values out, errors that name file, line and key.

The files are read from the folder in `CUTLASS_CONTRACTS`, else from the checkout this package runs in, else
from the copy inside the installed package. Each file is read once per process and folder.

`python -m cutlass.contracts` checks every file and prints one line per problem.
"""

from cutlass.contracts.archive import ArchiveColumn, ArchiveContract, load_archive
from cutlass.contracts.buckets import Bucket, load_buckets
from cutlass.contracts.catalogue import load_catalogue
from cutlass.contracts.emails import Email, EmailVariable, load_emails
from cutlass.contracts.folder import FOLDER_VARIABLE, contracts_folder
from cutlass.contracts.functions import (
    Access,
    DeadLetter,
    Function,
    Queue,
    QueueSource,
    Schedule,
    StreamSource,
    load_functions,
    load_python,
    load_queues,
)
from cutlass.contracts.openapi import Operation, load_openapi, load_operations
from cutlass.contracts.prices import Prices, load_prices
from cutlass.contracts.reports import load_reports
from cutlass.contracts.tables import Table, load_tables
from cutlass.contracts.topology import load_topology

__all__ = [
    "FOLDER_VARIABLE",
    "Access",
    "ArchiveColumn",
    "ArchiveContract",
    "Bucket",
    "DeadLetter",
    "Email",
    "EmailVariable",
    "Function",
    "Operation",
    "Prices",
    "Queue",
    "QueueSource",
    "Schedule",
    "StreamSource",
    "Table",
    "contracts_folder",
    "load_archive",
    "load_buckets",
    "load_catalogue",
    "load_emails",
    "load_functions",
    "load_openapi",
    "load_operations",
    "load_prices",
    "load_python",
    "load_queues",
    "load_reports",
    "load_tables",
    "load_topology",
]
