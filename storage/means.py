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
    from storage.switching import WorkerSwitch
    from workers import Pool


@dataclass(frozen=True, slots=True)
class Means:
    """The pools and what watches over them; made by `open_pools`."""

    switch: WorkerSwitch
    settings: StorageSettings
    logs: LogGovernor
    queued: QueuedWrites
    maintenance: MaintenanceLane
    slow: SlowQueries

    @property
    def readers(self) -> Pool:
        """The pool that runs what is read from now on."""
        return self.switch.current.readers

    @property
    def writers(self) -> Pool:
        """The pool that databases opened from now on are written by."""
        return self.switch.current.writers
