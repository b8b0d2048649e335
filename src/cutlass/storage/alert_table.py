"""What all that works on the alerts table of one region has in common."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.plans import Catalogue
from cutlass.storage.alert_homes import AlertHomes
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo


@dataclass(frozen=True, slots=True)
class AlertTable:
    """The alerts table by its full name, how it is reached, and what says whose alerts are this region's."""

    name: str
    dynamo: Dynamo
    directory: Directory
    homes: AlertHomes
    catalogue: Catalogue
    clock: Callable[[], datetime]
