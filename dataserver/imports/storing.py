"""The loop of an import: batch after batch through a door, each with its place, and bad rows found by halving.

A batch that breaks a constraint is halved until the culprit is alone; the others are written. What is transient (the
queue is full, a worker died) is tried again a few times, after a look into the ledger: the batch may be in already.
Files are read on the event loop: it is the command's own, and nobody else waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import anyio
import msgspec

from dataserver.commands import CommandFailed, Query, Write
from dataserver.door import Door, chunks, done
from dataserver.imports.order import ImportRefused, Order, Watch
from dataserver.imports.records import START, BadRecord, Position, Record
from dataserver.imports.source_file import open_source
from dataserver.imports.survey import BadLine
from dataserver.imports.table_plan import LEDGER, READ_LEDGER, Place, TablePlan, insert_rows, move_on

_MAX_BATCH_RECORDS = 5_000
_MAX_BATCH_BYTES = 4 * 1024 * 1024
TRANSIENT = frozenset(
    {"StorageSaturated", "StorageBusy", "StorageUnavailable", "WriteTimedOut", "WriteOutcomeUnknown"}
)
"""Kinds of failure after which the same may be asked again."""
_MAX_TRIES = 6
_FIRST_PAUSE_S = 0.1


async def read_place(door: Door, order: Order, sha256: str) -> Place | None:
    """Return how far the import of that file into that table has come; None if it was never begun."""
    query = Query(database=order.database, sql=READ_LEDGER, params=[order.table, sha256])
    rows = b"".join([chunk async for chunk in chunks(door, query)])
    places = msgspec.json.decode(rows, type=list[Place])
    return places[0] if places else None


@dataclass
class Storing:
    """One go at storing what the file holds from a place on."""

    door: Door
    order: Order
    plan: TablePlan
    sha256: str
    watch: Watch
    position: Position = START
    row_count: int = 0
    skipped_count: int = 0

    def __post_init__(self) -> None:
        self._stored = self.order.reading.storing(self.plan.columns)

    async def store_all(self) -> None:
        """Store everything up to the end of the file."""
        with open_source(self.order.reading.path) as source:
            for batch in _batches(self.order.reading.records(source.stream, self.position), self.position):
                await self._store(batch)
                self.watch.storing(source, self.row_count)

    async def _store(self, batch: Sequence[Record | BadRecord]) -> None:
        """Store a batch, halved as often as it takes to find what breaks it."""
        for bad in batch:
            if isinstance(bad, BadRecord):
                if self.order.on_error == "stop":
                    await self._store_before(batch, bad)
                    raise BadLine(bad, stored_count=self.row_count)
                self.watch.complaining(bad)
        await self._write(batch)

    async def _store_before(self, batch: Sequence[Record | BadRecord], bad: BadRecord) -> None:
        before = batch[: batch.index(bad)]
        if before:
            await self._write(before)

    async def _write(self, batch: Sequence[Record | BadRecord]) -> None:
        rows = [self._stored(record) for record in batch if isinstance(record, Record)]
        after = batch[-1].after
        skipped_count = len(batch) - len(rows)
        moved = move_on(
            self.plan,
            sha256=self.sha256,
            before=self.position,
            after=after,
            row_count=len(rows),
            skipped_count=skipped_count,
        )
        statements = [moved, *insert_rows(self.plan, rows)]
        try:
            await self._written(Write(database=self.order.database, statements=statements), after)
        except CommandFailed as failed:
            if failed.kind != "ConstraintViolated" or not rows:
                raise
            await self._halve(batch, str(failed))
            return
        self.position = after
        self.row_count += len(rows)
        self.skipped_count += skipped_count

    async def _halve(self, batch: Sequence[Record | BadRecord], reason: str) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        await self._expect_place(self.position)
        bad = BadRecord(reason, batch[0].line_number, batch[0].after)
        if self.order.on_error == "stop":
            raise BadLine(bad, stored_count=self.row_count)
        self.watch.complaining(bad)
        await self._write([bad])

    async def _written(self, write: Write, after: Position) -> None:
        pause_s = _FIRST_PAUSE_S
        for tries_left in reversed(range(_MAX_TRIES)):
            try:
                await done(self.door, write)
            except CommandFailed as failed:
                if failed.kind not in TRANSIENT or not tries_left:
                    raise
                await anyio.sleep(pause_s)
                pause_s *= 2
                place = await read_place(self.door, self.order, self.sha256)
                if place is not None and place.position == after:
                    return
            else:
                return

    async def _expect_place(self, expected: Position) -> None:
        place = await read_place(self.door, self.order, self.sha256)
        if place is None or place.position != expected:
            raise ImportRefused(f"another import of the same file is under way, or {LEDGER} was changed")


def _batches(records: Iterator[Record | BadRecord], start: Position) -> Iterator[list[Record | BadRecord]]:
    """Yield the records in groups that one transaction takes."""
    batch: list[Record | BadRecord] = []
    begun_at = start.offset
    for record in records:
        batch.append(record)
        if len(batch) >= _MAX_BATCH_RECORDS or record.after.offset - begun_at >= _MAX_BATCH_BYTES:
            yield batch
            batch = []
            begun_at = record.after.offset
    if batch:
        yield batch
