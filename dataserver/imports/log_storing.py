"""A log from its file into the chat, batch after batch through a door.

Nothing is noted on the way: a line that is in already is passed over where it would be stored, faster than it was stored,
so an import that was broken off is simply begun again. What is transient is tried again. While a batch is stored the next
one is read, so a log takes as long as the slower of the two, not as both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import anyio
from anyio.lowlevel import checkpoint

from chat import LogLine
from dataserver.commands import CommandFailed
from dataserver.door import Door, done
from dataserver.imports.log_lines import Place, in_order, read_events, read_messages
from dataserver.imports.order import Watch
from dataserver.imports.records import BadRecord
from dataserver.imports.source_file import open_source
from dataserver.imports.storing import TRANSIENT
from dataserver.imports.survey import BadLine
from dataserver.log_commands import OpenLog, StoreLog

MAX_BATCH_LINES: Final = 3_000
"""Some 45 ms of the writer's time."""
_MAX_BATCH_CHARACTERS: Final = 1_000_000
_SLICE_LINES: Final = 100
_MAX_TRIES: Final = 6
_FIRST_PAUSE_S: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class LogOrder:
    """What log is to be brought in, and where to."""

    path: Path
    source: str
    """The log's name: with a line's number, what tells the line from any other."""
    space: str
    """The name of the space, if it has to be made."""
    owner: str | None = None
    is_open: bool = False
    events: Path | None = None
    on_error: Literal["skip", "stop"] = "stop"


@dataclass(frozen=True, kw_only=True)
class LogOutcome:
    """How an import of a log ended."""

    space_id: str
    stored_count: int
    known_count: int
    """Lines that were in already."""
    skipped_count: int


async def import_log(door: Door, order: LogOrder, watch: Watch) -> LogOutcome:
    """Bring a log in; every line is in once when this returns, but for the bad ones that were skipped.

    Raises:
        ImportRefused: There are too many events.
        BadLine: A line is bad and `on_error` is `stop`; those before it are stored.
        UnreadableFile: A file cannot be read.
        CommandFailed: The chat refused; run it again to go on.
    """
    storing = _Storing(door, order, watch)
    events = storing.events()
    opened = OpenLog(source=order.source, space=order.space, owner=order.owner, is_open=order.is_open)
    space_id: str = await done(door, opened)
    with open_source(order.path) as source:
        batches = _Batches(in_order(read_messages(source.stream), events))
        batch = await batches.next()
        while batch:
            batch = await _following(batches, partial(storing.store, batch))
            watch.storing(source, storing.stored_count + storing.known_count)
    return LogOutcome(
        space_id=space_id,
        stored_count=storing.stored_count,
        known_count=storing.known_count,
        skipped_count=storing.skipped_count,
    )


@dataclass
class _Storing:
    """One go at a log."""

    door: Door
    order: LogOrder
    watch: Watch
    stored_count: int = 0
    known_count: int = 0
    skipped_count: int = 0

    def events(self) -> dict[Place, list[LogLine]]:
        """Return what happened between the messages."""
        if self.order.events is None:
            return {}
        with open_source(self.order.events) as source:
            found, complaints = read_events(source.stream)
        for bad in complaints:
            self._complain(bad)
        return found

    async def store(self, batch: Sequence[LogLine | BadRecord]) -> None:
        """Store a batch up to its first bad line, or without its bad lines."""
        good: list[LogLine] = []
        for each in batch:
            if isinstance(each, LogLine):
                good.append(each)
                continue
            if self.order.on_error == "stop":
                await self._written(good)
            self._complain(each)
        await self._written(good)

    def _complain(self, bad: BadRecord) -> None:
        if self.order.on_error == "stop":
            raise BadLine(bad, stored_count=self.stored_count)
        self.skipped_count += 1
        self.watch.complaining(bad)

    async def _written(self, lines: list[LogLine]) -> None:
        pause_s = _FIRST_PAUSE_S
        for tries_left in reversed(range(_MAX_TRIES)):
            try:
                counts: dict[str, Any] = await done(
                    self.door, StoreLog(source=self.order.source, lines=lines)
                )
            except CommandFailed as failed:
                if failed.kind not in TRANSIENT or not tries_left:
                    raise
                await anyio.sleep(pause_s)
                pause_s *= 2
            else:
                self.stored_count += counts["stored_count"]
                self.known_count += counts["known_count"]
                return


class _Batches:
    """The lines of a log in groups that one transaction takes."""

    def __init__(self, lines: Iterator[LogLine | BadRecord]) -> None:
        self._lines = lines

    async def next(self) -> list[LogLine | BadRecord]:
        """Return the next group, none at the end; the loop turns meanwhile."""
        batch: list[LogLine | BadRecord] = []
        character_count = 0
        for line in self._lines:
            batch.append(line)
            character_count += len(line.text) if isinstance(line, LogLine) else 0
            if len(batch) >= MAX_BATCH_LINES or character_count >= _MAX_BATCH_CHARACTERS:
                break
            if not len(batch) % _SLICE_LINES:
                await checkpoint()
        return batch


async def _following(batches: _Batches, store: Callable[[], Awaitable[None]]) -> list[LogLine | BadRecord]:
    """Return the group that follows the one that is stored meanwhile; its storing fails first."""
    found: list[LogLine | BadRecord] = []
    failures: dict[str, Exception] = {}

    async def read() -> None:
        try:
            found.extend(await batches.next())
        except Exception as error:  # noqa: BLE001 - raised again below: the group would wrap it
            failures["read"] = error

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        try:
            await store()
        except Exception as error:  # noqa: BLE001 - likewise
            failures["store"] = error
    for failure in (failures.get("store"), failures.get("read")):
        if failure is not None:
            raise failure
    return found
