"""The import itself: batch after batch through a door, each with its place, and bad rows found by halving.

A batch that breaks a constraint is halved until the culprit is alone; the others are written. What is transient (the
queue is full, a worker died) is tried again a few times, after a look into the ledger: the batch may be in already.
Files are read on the event loop: it is the command's own, and nobody else waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import anyio
import msgspec

from dataserver.commands import CommandFailed, DescribeTables, EnsureDatabase, Query, Write
from dataserver.door import Door, chunks, done
from dataserver.imports.records import START, BadRecord, Position, Record
from dataserver.imports.source_file import SourceFile, fingerprint, open_source
from dataserver.imports.survey import BadLine, Reading, surveyed
from dataserver.imports.table_plan import (
    LEDGER,
    MAKE_LEDGER,
    READ_LEDGER,
    Column,
    Place,
    TablePlan,
    close_entry,
    insert_rows,
    make_table,
    move_on,
    open_entry,
    plan_new,
    planned_columns,
)
from workers import Clock

_MAX_BATCH_RECORDS = 5_000
_MAX_BATCH_BYTES = 4 * 1024 * 1024
_TRANSIENT = frozenset(
    {"StorageSaturated", "StorageBusy", "StorageUnavailable", "WriteTimedOut", "WriteOutcomeUnknown"}
)
_MAX_TRIES = 6
_FIRST_PAUSE_S = 0.1


class ImportRefused(Exception):
    """The import cannot be done as it was asked for; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be imported, where to, and what to do about bad lines."""

    reading: Reading
    database: str
    table: str
    on_error: Literal["skip", "stop"] = "stop"
    append: bool = False
    primary_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told what happens; all are called between awaits, so they must be quick."""

    surveying: Callable[[SourceFile], None] = lambda _: None
    storing: Callable[[SourceFile, int], None] = lambda _source, _rows: None
    """The file, and how many rows of it are stored by now."""
    resuming: Callable[[Place], None] = lambda _: None
    complaining: Callable[[BadRecord], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an import ended."""

    row_count: int
    skipped_count: int
    resumed_at_line: int | None = None
    was_done_before: bool = False


async def import_file(door: Door, order: Order, *, clock: Clock, watch: Watch) -> Outcome:
    """Import a file into a table, or go on where an earlier try was ended.

    Every record is in the table once when this returns, but for the bad ones that were skipped. An import of a file
    that was imported into the table before changes nothing.

    Raises:
        ImportRefused: The table exists already, or does not fit.
        BadLine: A line is bad and `on_error` is `stop`.
        UnreadableFile: The file cannot be read.
        CommandFailed: The database refused; run it again to go on.
    """
    sha256 = fingerprint(order.reading.path)
    await done(door, EnsureDatabase(database=order.database))
    await done(door, Write(database=order.database, statements=[(MAKE_LEDGER, [])]))
    place = await _place(door, order, sha256)
    if place is None:
        plan = await _begun(door, order, sha256, clock, watch)
        run = _Run(door, order, plan, sha256, watch)
    else:
        if place.finished_at_ms is not None:
            return Outcome(row_count=place.row_count, skipped_count=place.skipped_count, was_done_before=True)
        watch.resuming(place)
        plan = TablePlan(table=order.table, columns=planned_columns(place))
        run = _Run(door, order, plan, sha256, watch, place.position, place.row_count, place.skipped_count)
    await run.store_all()
    entry = close_entry(plan, sha256=sha256, now=clock.now())
    await done(door, Write(database=order.database, statements=[entry]))
    return Outcome(
        row_count=run.row_count,
        skipped_count=run.skipped_count,
        resumed_at_line=None if place is None else place.line_number + 1,
    )


async def _place(door: Door, order: Order, sha256: str) -> Place | None:
    query = Query(database=order.database, sql=READ_LEDGER, params=[order.table, sha256])
    rows = b"".join([chunk async for chunk in chunks(door, query)])
    places = msgspec.json.decode(rows, type=list[Place])
    return places[0] if places else None


async def _begun(door: Door, order: Order, sha256: str, clock: Clock, watch: Watch) -> TablePlan:
    """Look the file over, make its table and open the ledger's entry, the last two in one transaction."""
    tables: dict[str, dict[str, str]] = await done(door, DescribeTables(database=order.database))
    existing = {name.lower(): columns for name, columns in tables.items()}.get(order.table.lower())
    if existing is not None and not order.append:
        raise ImportRefused(f"the table {order.table} exists; --append adds to it")
    types = surveyed(order.reading, stop_at_bad=order.on_error == "stop", progress=watch.surveying)
    plan = plan_new(order.table, types, primary_key=order.primary_key)
    statements = []
    if existing is not None:
        plan = _fitted(plan, existing)
    elif order.primary_key is not None and order.primary_key not in {column.name for column in plan.columns}:
        names = ", ".join(column.name for column in plan.columns)
        raise ImportRefused(f"no column {order.primary_key} to be the primary key; there are {names}")
    else:
        statements.append(make_table(plan))
    statements.append(open_entry(plan, sha256=sha256, source=order.reading.path.name, now=clock.now()))
    await done(door, Write(database=order.database, statements=statements))
    return plan


def _fitted(plan: TablePlan, existing: dict[str, str]) -> TablePlan:
    """Return the plan with the columns that the table has."""
    by_name = {name.lower(): (name, kind) for name, kind in existing.items()}
    missing = [column.name for column in plan.columns if column.name.lower() not in by_name]
    if missing:
        raise ImportRefused(f"the table {plan.table} has no column {', '.join(missing)}")
    fitted = []
    for column in plan.columns:
        name, declared = by_name[column.name.lower()]
        kind = declared if declared in {"INTEGER", "REAL", "TEXT"} else "ANY"
        fitted.append(msgspec.convert({"field": column.field, "name": name, "type": kind}, Column))
    return msgspec.structs.replace(plan, columns=tuple(fitted))


@dataclass
class _Run:
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
                if failed.kind not in _TRANSIENT or not tries_left:
                    raise
                await anyio.sleep(pause_s)
                pause_s *= 2
                place = await _place(self.door, self.order, self.sha256)
                if place is not None and place.position == after:
                    return
            else:
                return

    async def _expect_place(self, expected: Position) -> None:
        place = await _place(self.door, self.order, self.sha256)
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
