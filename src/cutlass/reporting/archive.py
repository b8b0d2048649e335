"""Where the archive lies: a bucket, or a folder of the same layout."""

from pathlib import Path


class Archive:
    """The archive of all ledger entries, as a reader sees it.

    Parameters
    ----------
    folder : Path
        The folder that `decisions/` is in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
