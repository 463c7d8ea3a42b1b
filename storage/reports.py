"""What an operator is told of a storage: its pools, its logs and their checkpoints, and what was slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage.slow_queries import SlowQuery
    from storage.statistics import StorageStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class LogFacts:
    """The write-ahead log of one database, as its writer knows it; counts are since the writer opened it."""

    wal_pages: int = 0
    passive_count: int = 0
    truncate_count: int = 0
    """Checkpoints that were tried, by what they might wait for."""
    busy_count: int = 0
    """Of these, how many a reader held up."""
    failed_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageReport:
    """A storage as it stands."""

    statistics: StorageStatistics
    logs: dict[str, LogFacts]
    """Of the databases that a writer has open, by name. A writer that was too busy to answer has left its own out."""
    slow: list[SlowQuery]
    """The latest first."""
    maintenance_running_count: int
    maintenance_waiting_count: int
    """Backups and checks."""


def log_facts(told: Iterable[dict[str, dict[str, Any]]]) -> dict[str, LogFacts]:
    """Return what the writers tell, by path; a database that several have open has its counts added up."""
    facts: dict[str, LogFacts] = {}
    for answer in told:
        for path, counts in answer.items():
            before = facts.get(path, LogFacts())
            facts[path] = LogFacts(
                wal_pages=max(before.wal_pages, counts["wal_pages"]),
                passive_count=before.passive_count + counts["passive"],
                truncate_count=before.truncate_count + counts["truncate"],
                busy_count=before.busy_count + counts["busy"],
                failed_count=before.failed_count + counts["failed"],
            )
    return facts
