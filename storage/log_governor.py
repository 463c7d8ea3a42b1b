"""Keeps write-ahead logs within their bound from the readers' side; `storage.sqlite.checkpoints` is the writers'.

It looks at the logs of databases while they are written, and ends the reads that hold a log which has grown too long
(`storage.log_pressure`): whatever runs in a worker, and the streams and snapshots that workers hold open. Those it also
has closed when they are left idle or too old, which their worker would else only notice when it is asked something.

A log that another process held stays long once that is gone, until somebody writes; so a log at its bound is tried to be
cut every now and then. A backup is let finish, however long it takes: ended, it would begin anew and never come to its end.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from storage.errors import ReadTooOld
from storage.log_pressure import LAST_PATIENCE_S, patience_s
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

    from storage.settings import StorageSettings
    from workers import Pool, Session

LOG_SUFFIX = "-wal"
_LOOK_S = 0.25
"""How often the log of a database that is written to is looked at."""
_TRY_S = 2.0
"""How often a log at its bound is tried to be cut; each try holds up writers for a tenth of a second at most."""
_TELL_S = 5.0
"""How long a worker may take to let go of what it holds; it may be busy with something else."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogStatistics:
    """The write-ahead logs of all databases and who reads them."""

    wal_bytes: int
    """All logs together, as they were looked at last."""
    largest_wal_bytes: int
    oldest_reader_s: float
    """How long the oldest read has been under way; 0.0 without any."""
    held_count: int
    """Streams, snapshots and backups that are open."""
    ended: dict[str, int]
    """Reads that were ended, by reason: `log` for one that was in the way, `age` for one that was too old."""


@dataclass(eq=False, slots=True)
class HeldRead:
    """A read that a worker holds open between calls."""

    path: str
    session: Session | None
    """None for a backup, which nobody ends."""
    kind: str = ""
    number: int = 0
    opened_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)
    is_told: bool = False
    """Its worker was told to end it."""
    pool: Pool | None = None
    """Whose worker holds it; None for a backup."""

    def used(self) -> None:
        """Take note that it was asked for just now."""
        self.used_at = time.monotonic()


class LogGovernor:
    """Watches the logs of one storage; `run` has to run beside its pools."""

    def __init__(self, readers: Callable[[], Sequence[Pool]], settings: StorageSettings) -> None:
        self._readers = readers
        self._settings = settings
        self._held: set[HeldRead] = set()
        self._written: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._ended: Counter[str] = Counter()
        self._stirred = anyio.Event()
        self._filled = anyio.Event()

    def written(self, path: str) -> None:
        """Take note that the database at `path` was written to."""
        if path not in self._written:
            self._written.add(path)
            self._stirred.set()

    @contextmanager
    def holding(self, read: HeldRead) -> Iterator[HeldRead]:
        """Know of a read that is held open while this is entered."""
        self._held.add(read)
        self._stirred.set()
        try:
            yield read
        finally:
            self._held.discard(read)

    def require_within_age(self, error: Exception, timeout_s: float) -> None:
        """Say so if a read that ended with `error` after `timeout_s` was as old as any may be.

        Raises:
            ReadTooOld: It was.
        """
        if timeout_s >= self._settings.reader_age_s:
            self._ended["age"] += 1
            raise ReadTooOld(
                f"the read took {self._settings.reader_age_s:g} s, as long as any may"
            ) from error

    def statistics(self) -> LogStatistics:
        """Return what is known now."""
        now = time.monotonic()
        ages = [now - read.opened_at for read in self._held]
        ages += [ran_s for pool in self._readers() for _, ran_s in pool.running()]
        return LogStatistics(
            wal_bytes=sum(self._sizes.values()),
            largest_wal_bytes=max(self._sizes.values(), default=0),
            oldest_reader_s=max(ages, default=0.0),
            held_count=len(self._held),
            ended=dict(self._ended),
        )

    async def look(self) -> None:
        """Look at the logs that may have changed, and at those that were there when they were looked at last."""
        paths = self._written | set(self._sizes)
        self._written = set()
        if paths:
            self._sizes = await anyio.to_thread.run_sync(_log_sizes, paths)
            if self._full():
                self._filled.set()

    async def run(self) -> None:
        """Do so for ever, while there is something to look after."""
        while True:
            if not self._held and not self._written and not (self._long() and self._is_read()):
                self._stirred = anyio.Event()
                await self._stirred.wait()
            await self.look()
            long = self._long()
            await self._relieve(long)
            await self._sweep()
            await anyio.sleep(LAST_PATIENCE_S if long else _LOOK_S)

    async def run_tries(self, empty: Callable[[str], Awaitable[None]]) -> None:
        """Have `empty` put what is in a log at its bound into the database, if it can; for ever, beside `run`."""
        while True:
            await self._filled.wait()
            self._filled = anyio.Event()
            while full := self._full():
                await anyio.sleep(_TRY_S)
                for path in full:
                    await empty(path)
                    self.written(path)  # it may be shorter now
                await self.look()

    def _full(self) -> list[str]:
        return [path for path, size in self._sizes.items() if size > self._settings.max_wal_bytes]

    def held_count(self, pool: Pool) -> int:
        """Return how many streams and snapshots workers of `pool` hold, but for those that are ending."""
        return sum(read.pool is pool and not read.is_told for read in self._held)

    def _is_read(self) -> bool:
        return any(pool.running() for pool in self._readers())

    def _long(self) -> list[str]:
        """Return the databases whose logs are too long; one is even when its writer waits, and writes nothing."""
        return [path for path, size in self._sizes.items() if size >= self._settings.max_wal_bytes // 4]

    async def _relieve(self, long: Collection[str]) -> None:
        """End the reads that hold a log which is too long."""
        now = time.monotonic()
        async with anyio.create_task_group() as telling:
            for path in long:
                size_bytes = self._sizes.get(path, 0)
                most_s = patience_s(size_bytes, self._settings.max_wal_bytes)
                reason = f"the write-ahead log could not be cut behind this read and has {size_bytes} bytes"
                for pool in self._readers():
                    for pending, ran_s in pool.running():
                        if pending.tenant == path and pending.pinned is None and ran_s > most_s:
                            self._count(path, size_bytes, ran_s)
                            pool.end(pending, ReadTooOld(reason))
                for read in self._held:
                    age_s = now - read.opened_at
                    if read.path == path and age_s > most_s and read.session is not None and not read.is_told:
                        read.is_told = True
                        self._count(path, size_bytes, age_s)
                        self._end_piece_of(read, reason)
                        telling.start_soon(_tell, read.session, "held_end", [read.kind, read.number, reason])

    async def _sweep(self) -> None:
        """Have held reads closed that were left, or are too old: their workers look when they are asked anything."""
        now, settings = time.monotonic(), self._settings
        async with anyio.create_task_group() as telling:
            for read in self._held:
                is_old = now - read.opened_at > settings.reader_age_s
                is_due = is_old or now - read.used_at > settings.stream_idle_s
                if is_due and not read.is_told and read.session is not None:
                    read.is_told = True
                    self._ended["age"] += is_old
                    telling.start_soon(_tell, read.session, "sweep", [])

    def _end_piece_of(self, read: HeldRead, reason: str) -> None:
        """End what runs for a held read just now."""
        if read.pool is None:
            return
        for pending, _ in read.pool.running():
            if pending.method.startswith(read.kind) and pending.params[0] == read.number:
                read.pool.end(pending, ReadTooOld(reason))

    def _count(self, path: str, size_bytes: int, age_s: float) -> None:
        self._ended["log"] += 1
        name = path.rpartition("/")[2]
        _log.warning("storage.read_ended", database=name, wal_bytes=size_bytes, age_s=round(age_s, 3))


async def _tell(session: Session, method: str, params: list[object]) -> None:
    try:
        await session.call(method, params, timeout_s=_TELL_S)
    except WorkersError as error:  # it is gone with all that it held, or does what it was told later
        _log.debug("storage.held_read_untold", reason=str(error))


def _log_sizes(paths: Collection[str]) -> dict[str, int]:
    """Return the bytes of the logs of `paths` that are not empty."""
    sizes = {}
    for path in paths:
        try:
            size_bytes = Path(path + LOG_SUFFIX).stat().st_size
        except OSError:
            continue
        if size_bytes:
            sizes[path] = size_bytes
    return sizes
