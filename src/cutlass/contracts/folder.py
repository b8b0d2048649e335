"""Where the contract files are."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from cutlass.domain.errors import ContractError

FOLDER_VARIABLE = "CUTLASS_CONTRACTS"
"""The environment variable that names another folder of contract files."""

_T = TypeVar("_T")

_HERE = Path(__file__).resolve().parent


def contracts_folder() -> Path:
    """Return the folder the contract files are read from.

    Raises
    ------
    ContractError
        There is no such folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(named)
        if not folder.is_dir():
            raise ContractError(
                f"contracts: {FOLDER_VARIABLE} names {named!r}, which is not a folder",
                hint=f"unset {FOLDER_VARIABLE} to use the files that come with Cutlass",
            )
        return folder
    source = _HERE.parents[1]
    checkout = source.parent / "contracts"
    if source.name == "src" and checkout.is_dir():
        return checkout
    return _HERE / "data"


def read_once(read: Callable[[Path], _T]) -> Callable[[], _T]:
    """Make what reads a contract in a folder into what reads this process's, once for each folder it may have.

    A missing or wrong file raises a `ContractError`, whose message begins with file, line and key.
    """
    cached = cache(read)

    def loaded() -> _T:
        return cached(contracts_folder())

    loaded.__name__, loaded.__qualname__, loaded.__doc__ = read.__name__, read.__qualname__, read.__doc__
    loaded.__module__ = read.__module__
    return loaded
