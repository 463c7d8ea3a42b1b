"""An import from its beginning to its end: look the file over, make the table, store the rows, close the ledger's entry."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from dataserver.commands import DescribeTables, EnsureDatabase, Write
from dataserver.door import Door, done
from dataserver.imports.order import ImportRefused, Order, Watch
from dataserver.imports.source_file import fingerprint
from dataserver.imports.storing import Storing, read_place
from dataserver.imports.survey import surveyed
from dataserver.imports.table_plan import (
    MAKE_LEDGER,
    Column,
    TablePlan,
    close_entry,
    make_table,
    open_entry,
    plan_new,
    planned_columns,
)
from workers import Clock


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
    place = await read_place(door, order, sha256)
    if place is None:
        plan = await _begun(door, order, sha256, clock, watch)
        run = Storing(door, order, plan, sha256, watch)
    else:
        if place.finished_at_ms is not None:
            return Outcome(row_count=place.row_count, skipped_count=place.skipped_count, was_done_before=True)
        watch.resuming(place)
        plan = TablePlan(table=order.table, columns=planned_columns(place))
        run = Storing(door, order, plan, sha256, watch, place.position, place.row_count, place.skipped_count)
    await run.store_all()
    entry = close_entry(plan, sha256=sha256, now=clock.now())
    await done(door, Write(database=order.database, statements=[entry]))
    return Outcome(
        row_count=run.row_count,
        skipped_count=run.skipped_count,
        resumed_at_line=None if place is None else place.line_number + 1,
    )


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
