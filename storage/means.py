"""What all databases of one storage work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.log_governor import LogGovernor
    from storage.maintenance import MaintenanceLane
    from storage.queued_writes import QueuedWrites
    from storage.settings import StorageSettings
    from storage.slow_queries import SlowQueries
    from workers import Pool


@dataclass(frozen=True, slots=True)
class Means:
    """The pools and what watches over them; made by `open_pools`."""

    readers: Pool
    writers: Pool
    settings: StorageSettings
    logs: LogGovernor
    queued: QueuedWrites
    maintenance: MaintenanceLane
    slow: SlowQueries
