"""Where the contract files are."""

import os
from pathlib import Path

from cutlass.domain.errors import ContractError

FOLDER_VARIABLE = "CUTLASS_CONTRACTS"
"""The environment variable that names another folder of contract files."""

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
