"""When the writer moves the write-ahead log (WAL) into the database file: one owner, between batches, bounded.

Every pool of readers with one writer that leaves this to SQLite has had WALs of tens of gigabytes in the field: a
checkpoint cannot pass the oldest reader, and the log only starts again from its beginning when nobody reads it.

- From `PASSIVE_PAGES` (1,000 pages, 4 MiB) on, a PASSIVE checkpoint, which waits for nobody; the next one after as
  many pages more. 1,000 pages take about 10 ms (2026-11-23, 2 cores), once in some hundred commits.
- From `TRUNCATE_PAGES` (16,384 pages, 64 MiB) on, a TRUNCATE, which waits at most `TRUNCATE_WAIT_MS` for readers and
  holds writers up meanwhile; the next one when the log has grown by a quarter, so a reader that stays costs ever less.
- At the bound (`max_wal_bytes`) the same, up to `FULL_TRIES_COUNT` times: meanwhile the pool's side ends the reads that
  hold the log (`storage.log_governor`), so only another process, or a backup, can make it longer. Short tries, because
  one long one waits for the place of the oldest reader, which the next reader takes: readers that come one after the
  other starve it (tried), while a new try finds that they read the end of the log, and stand in nobody's way.

Where the bound is small, the other two steps are a quarter and a half of it.

A checkpoint that fails costs nobody an acknowledged write; it is counted, and tried again as above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import apsw

PASSIVE_PAGES = 1_000
TRUNCATE_PAGES = 16_384
TRUNCATE_WAIT_MS = 100
FULL_TRIES_COUNT = 20
MAX_WAL_BYTES = 256 * 1024 * 1024
_FRAME_HEADER_BYTES = 24
KEPT_LOG_BYTES = 16 * 1024 * 1024
"""What a log's file is cut down to when it starts again from its beginning."""


@dataclass(frozen=True, slots=True)
class Steps:
    """From how many pages on what is done."""

    passive: int = PASSIVE_PAGES
    truncate: int = TRUNCATE_PAGES
    full: int = MAX_WAL_BYTES // 4_120

    @classmethod
    def within(cls, max_bytes: int, page_bytes: int) -> Steps:
        """Return the steps of a log that is to stay within `max_bytes`."""
        full = max(4, max_bytes // (page_bytes + _FRAME_HEADER_BYTES))
        return cls(min(PASSIVE_PAGES, full // 4), min(TRUNCATE_PAGES, full // 2), full)


_USUAL = Steps()


class Mode(Enum):
    """What a checkpoint may wait for."""

    PASSIVE = apsw.SQLITE_CHECKPOINT_PASSIVE
    TRUNCATE = apsw.SQLITE_CHECKPOINT_TRUNCATE


def due(pages: int, *, tried: int, truncated: int, steps: Steps = _USUAL) -> Mode | None:
    """Return the checkpoint that a log of `pages` needs, if any.

    `tried` and `truncated` are the pages it had at the last checkpoint and at the last TRUNCATE; 0 since it restarted.
    """
    if pages >= steps.truncate and pages >= truncated + truncated // 4:
        return Mode.TRUNCATE
    if pages >= steps.full > truncated:
        return Mode.TRUNCATE
    return Mode.PASSIVE if pages >= tried + steps.passive else None


class Governor:
    """Keeps the log of one database file short; belongs to the connection that writes it."""

    def __init__(
        self, busy_timeout_ms: int, *, may_wait: bool = True, max_bytes: int = MAX_WAL_BYTES
    ) -> None:
        self._busy_timeout_ms = busy_timeout_ms
        self._wait_ms = min(TRUNCATE_WAIT_MS, busy_timeout_ms) if may_wait else 0
        self._full_tries_count = FULL_TRIES_COUNT if may_wait else 1
        self._max_bytes = max_bytes
        self._steps = _USUAL
        self._tried = 0
        self._truncated = 0
        self._counts = {"passive": 0, "truncate": 0, "busy": 0, "failed": 0}
        self.pages = 0
        """The pages in the log after the last commit."""

    def statistics(self) -> dict[str, int]:
        """Return the pages in the log, how often each mode was tried, and how often a reader or an error was in the way."""
        return {"wal_pages": self.pages, **self._counts}

    def watch(self, connection: apsw.Connection) -> None:
        """Have `connection` tell the length of the log after each commit, instead of checkpointing by itself."""
        page_bytes: int = connection.pragma("page_size")
        self._steps = Steps.within(self._max_bytes, page_bytes)
        connection.execute(f"PRAGMA journal_size_limit = {min(KEPT_LOG_BYTES, self._max_bytes)}")
        connection.set_wal_hook(self._on_commit)

    def tend(self, connection: apsw.Connection) -> None:
        """Do the checkpoint that is due, if any; to be called when no transaction is open."""
        if self.pages < self._tried:  # the log began anew
            self._tried = self._truncated = 0
        mode = due(self.pages, tried=self._tried, truncated=self._truncated, steps=self._steps)
        if mode is None:
            return
        for _ in range(self._full_tries_count if self.pages >= self._steps.full else 1):
            if self._checkpoint(connection, mode):
                return

    def _checkpoint(self, connection: apsw.Connection, mode: Mode) -> bool:
        self._tried = self.pages
        if mode is Mode.TRUNCATE:
            self._truncated = self.pages
            connection.set_busy_timeout(self._wait_ms)
        self._counts[mode.name.lower()] += 1
        try:
            pages, moved = connection.wal_checkpoint(mode=mode.value)
        except apsw.BusyError:
            self._counts["busy"] += 1
            return False
        except apsw.Error:
            self._counts["failed"] += 1
            return False
        finally:
            if mode is Mode.TRUNCATE:
                connection.set_busy_timeout(self._busy_timeout_ms)
        self.pages = pages
        return pages == moved

    def empty(self, connection: apsw.Connection) -> bool:
        """Make the log empty if readers allow it within the limit, and return whether they did.

        The moving, which takes long, is done before by a checkpoint that keeps no other writer waiting.
        """
        self._checkpoint(connection, Mode.PASSIVE)
        return self._checkpoint(connection, Mode.TRUNCATE)

    def _on_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self.pages = pages
        return apsw.SQLITE_OK
