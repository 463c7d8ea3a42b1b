"""Turns workers on and off while databases are used: the same as `use_workers` at the start, without one.

New pools are started beside the old ones. From then on reads go to the new ones at once, while those under way, streams
and snapshots included, end where they began. A database is written by one worker at a time, so each goes over by itself:
its gate is shut, the writes before it are waited for, those after it wait, and go to the new pool in their turn. No call
fails by it; a transaction that is held open counts as a write, which others wait for as long as its lease.

Changes are made one after the other. Whoever asks for one may be cancelled; the change is made all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakSet

import anyio
import structlog

from storage.errors import StorageClosed, StorageError, StorageSaturated
from storage.generations import Generation

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import TaskGroup

    from storage.log_governor import LogGovernor
    from storage.settings import StorageSettings
    from storage.slow_queries import SlowQueries
    from storage.writing import Writing
    from workers import Pool

MAX_ASKED_COUNT = 16
"""Changes that may be asked for at one time."""
MAX_DRAINING_COUNT = 2
"""Generations that may still be finishing what they have."""
PLACE_S = 10.0
"""How long a change waits until there are fewer."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


@dataclass(eq=False, slots=True)
class _Change:
    use_workers: bool
    done: anyio.Event
    error: StorageError | None = None


class WorkerSwitch:
    """The generations of one storage; the last one serves."""

    def __init__(self, settings: StorageSettings, folder: Path | None, slow: SlowQueries) -> None:
        self.faces: WeakSet[Writing] = WeakSet()
        """The databases that are in use."""
        self.changes_count = 0
        self._settings = settings
        self._folder = folder
        self._slow = slow
        self._generations: list[Generation] = []
        self._changing: TaskGroup | None = None
        self._turn = anyio.Lock()
        self._asked_count = 0

    @property
    def current(self) -> Generation:
        """The generation that serves."""
        return self._generations[-1]

    def draining(self) -> list[Generation]:
        """Return those before it that are not done yet."""
        self._generations = [each for each in self._generations if not each.has_ended or each is self.current]
        return self._generations[:-1]

    def readers(self) -> list[Pool]:
        """Return all pools of readers."""
        return [each.readers for each in (*self.draining(), self.current)]

    async def open(self, generations: TaskGroup) -> None:
        """Start the first generation, as a task of `generations`.

        Raises:
            StorageUnavailable: Its workers can't start.
        """
        self._host = generations
        await self._started(self._settings)

    def allow_changes(self, changing: TaskGroup, logs: LogGovernor) -> None:
        """From now on workers can be turned on and off, by tasks of `changing`; when that is cancelled, no more."""
        self._changing = changing
        self._logs = logs

    async def use_workers(self, use_workers: bool) -> None:
        """Have workers run SQL, or the event loop; once this returns, every new call goes there.

        Raises:
            StorageUnavailable: The workers can't start; nothing has changed.
            StorageSaturated: What earlier changes left behind is not done yet, or too many ask; nothing has changed.
            StorageClosed: The storage closes.
        """
        if self._changing is None:
            raise StorageClosed("the storage closes")
        if self._asked_count >= MAX_ASKED_COUNT:
            raise StorageSaturated("too many ask for workers to change", retry_after_s=PLACE_S)
        self._asked_count += 1
        change = _Change(use_workers, anyio.Event())
        self._changing.start_soon(self._change, change)
        await change.done.wait()
        if change.error is not None:
            raise change.error

    async def close(self, *, empties_logs: bool) -> None:
        """End all generations, the one that serves last; what it has counted can still be asked for."""
        with anyio.CancelScope(shield=True):
            for each in list(self._generations):
                await each.close(empties_logs=empties_logs and each is self.current)

    def stop_changes(self) -> None:
        """Let nobody change anything any more."""
        self._changing = None

    async def _change(self, change: _Change) -> None:
        change.error = StorageClosed("the storage closes")  # what it is when this is cancelled
        try:
            async with self._turn:
                if self.current.settings.use_workers != change.use_workers:
                    await self._until_place()
                    await self._go_over(change.use_workers)
            change.error = None
        except StorageError as error:
            change.error = error
        finally:
            self._asked_count -= 1
            change.done.set()

    async def _until_place(self) -> None:
        with anyio.move_on_after(PLACE_S):
            while len(left := self.draining()) >= MAX_DRAINING_COUNT:
                await left[0].until_ended()
            return
        unfinished_count = sum(each.unfinished_count() for each in self.draining())
        raise StorageSaturated(
            f"{unfinished_count} calls of earlier workers are not done yet", retry_after_s=PLACE_S
        )

    async def _go_over(self, use_workers: bool) -> None:
        old = self.current
        new = await self._started(replace(self._settings, use_workers=use_workers))
        self.changes_count += 1
        faces = list(self.faces)
        old.staying_count = len(faces)
        old.retire(self._logs)
        _log.warning("storage.workers_changed", use_workers=use_workers, kind=new.readers.kind)
        async with anyio.create_task_group() as going:
            for face in faces:
                going.start_soon(self._move, face, old, new)

    async def _move(self, face: Writing, old: Generation, new: Generation) -> None:
        try:
            await face.go_over(new.readers, new.writers)
        finally:
            old.staying_count -= 1

    async def _started(self, settings: StorageSettings) -> Generation:
        generation = Generation(settings, self._folder, self._slow)
        await self._host.start(generation.run)
        self._generations.append(generation)
        return generation
