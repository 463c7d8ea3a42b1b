"""Writes that nobody waits for: bounded in number and bytes, lost when the process ends, their errors counted.

A write has one of two acknowledgements. *durable*, the default, comes after the sync of the commit that holds it: what
was acknowledged survives a crash of the process and of the machine. *queued* comes as soon as the write has a place in
the writer's queue: it survives nothing, and whether it fails later (a constraint, a full disk, a deadline) is only
counted and logged. Writes to one database are done in the order in which they were asked for, whichever they want.

Queued writes take a part of the writer's places only, so that durable ones always find some.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import structlog

from storage.errors import StorageError, StorageSaturated
from storage.pool_errors import failed_write
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.settings import StorageSettings
    from workers import Pool

Ack = Literal["durable", "queued"]
"""When a write is acknowledged."""

_RETRY_AFTER_S = 0.05

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


@dataclass(frozen=True, kw_only=True, slots=True)
class Queued:
    """A write that waits for the writer, and is on no disk."""

    ack: Literal["queued"] = "queued"


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedStatistics:
    """The writes that nobody waits for; counts are since the storage opened."""

    waiting_count: int
    waiting_bytes: int
    written_count: int
    failed: dict[str, int]
    """Those that were not written, or of which nobody knows, by the name of the error."""


class QueuedWrites:
    """The writes of one storage that nobody waits for."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._waiting_count = 0
        self._waiting_bytes = 0
        self._written_count = 0
        self._failed: Counter[str] = Counter()

    def statistics(self) -> QueuedStatistics:
        """Return how they stand."""
        return QueuedStatistics(
            waiting_count=self._waiting_count,
            waiting_bytes=self._waiting_bytes,
            written_count=self._written_count,
            failed=dict(self._failed),
        )

    def add(
        self, writers: Pool, method: str, sent: list[Any], *, timeout_s: float, on_end: Callable[[], None]
    ) -> None:
        """Let the write that `sent` (the database's path first) asks for wait; `on_end` is called when it is over.

        Raises:
            StorageSaturated: As many wait as may, or they hold as many bytes.
            StorageError: The writer takes nothing now.
            TypeError, ValueError, OverflowError: `sent` does not fit into a message.
        """
        most_count, most_bytes = self._settings.max_queued_writes, self._settings.max_queued_bytes
        if self._waiting_count >= most_count or self._waiting_bytes >= most_bytes:
            raise StorageSaturated(
                f"{self._waiting_count} queued writes of {self._waiting_bytes} bytes wait; at most {most_count},"
                f" and {most_bytes} bytes, are taken",
                retry_after_s=_RETRY_AFTER_S,
            )
        size_bytes = 0
        path: str = sent[0]

        def ended(_: Any, error: BaseException | None) -> None:
            self._waiting_count -= 1
            self._waiting_bytes -= size_bytes
            if error is None:
                self._written_count += 1
            else:
                self._note(path, error)
            on_end()

        try:
            size_bytes = writers.post(method, sent, ended, key=path, timeout_s=timeout_s, tenant=path)
        except WorkersError as error:
            raise failed_write(error) from error
        self._waiting_count += 1
        self._waiting_bytes += size_bytes

    def _note(self, path: str, error: BaseException) -> None:
        told = failed_write(error) if isinstance(error, WorkersError) else error
        name = type(told).__name__
        self._failed[name] += 1
        count = self._failed[name]
        if count & (count - 1) == 0 or not isinstance(told, StorageError):  # 1, 2, 4, ...: a flood is no log
            _log.warning(
                "storage.queued_write_failed", database=path.rpartition("/")[2], error=name, count=count
            )
