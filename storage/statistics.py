"""What a storage counts, as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.log_governor import LogStatistics
    from storage.means import Means
    from storage.queued_writes import QueuedStatistics
    from workers import Kind, PoolStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageStatistics:
    """The two pools as they stand; both are others, which count from nothing, after each change of the workers."""

    reader: PoolStatistics
    writer: PoolStatistics
    logs: LogStatistics
    queued: QueuedStatistics
    kind: Kind
    use_workers: bool
    """What was asked for; `kind` may be `inline` all the same, where no worker can start."""
    worker_count: int
    """Readers and writers; 0 when SQL runs on the event loop."""
    changes_count: int
    """How often workers were turned on or off since the storage opened."""
    draining_count: int
    """Calls, streams and snapshots that end on the workers of before."""
    is_draining: bool
    """Such workers are still there."""


def statistics_of(means: Means) -> StorageStatistics:
    """Return how the storage with these means stands."""
    switch = means.switch
    reader, writer = means.readers.statistics(), means.writers.statistics()
    draining = switch.draining()
    return StorageStatistics(
        reader=reader,
        writer=writer,
        logs=means.logs.statistics(),
        queued=means.queued.statistics(),
        kind=reader.kind,
        use_workers=switch.current.settings.use_workers,
        worker_count=0 if reader.kind == "inline" else reader.worker_count + writer.worker_count,
        changes_count=switch.changes_count,
        draining_count=sum(each.unfinished_count() for each in draining),
        is_draining=bool(draining),
    )
