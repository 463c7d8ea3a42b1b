"""The import loop against a database that fails now and then: each row once, whatever is answered."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataserver.commands import (
    Chunk,
    Command,
    CommandFailed,
    DescribeTables,
    Done,
    EnsureDatabase,
    Query,
    Reply,
    Write,
)
from dataserver.imports import storing
from dataserver.imports.importing import Outcome, import_file
from dataserver.imports.order import ImportRefused, Order, Watch
from dataserver.imports.records import BadRecord
from dataserver.imports.survey import BadLine, Reading
from workers import SystemClock

FAILURES = ("StorageSaturated", "StorageBusy", "StorageUnavailable", "WriteTimedOut")


@dataclass
class MemoryDoor:
    """A door to a database in memory that answers writes as a script says; `""` and the end of it mean well."""

    script: list[str] = field(default_factory=list)
    connection: apsw.Connection = field(default_factory=lambda: apsw.Connection(":memory:"))

    async def perform(self, command: Command) -> AsyncGenerator[Reply]:
        await anyio.lowlevel.checkpoint()
        match command:
            case Query():
                names: list[str] = []

                def named(cursor: apsw.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
                    names[:] = [column[0] for column in cursor.description]
                    return row

                cursor = self.connection.cursor()
                cursor.row_trace = named
                rows = cursor.execute(command.sql, command.params).fetchall()
                yield Chunk(json.dumps([dict(zip(names, row, strict=True)) for row in rows]).encode())
                yield Done()
            case Write():
                yield Done(self._written(command))
            case EnsureDatabase():
                yield Done(False)
            case DescribeTables():
                found = self.connection.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table'"
                ).fetchall()
                yield Done({str(name): self._columns(str(name)) for (name,) in found})
            case _:
                raise AssertionError(command)

    def _columns(self, table: str) -> dict[str, str]:
        sql = "SELECT name, type FROM pragma_table_info(?)"
        return {str(name): str(kind) for name, kind in self.connection.execute(sql, [table])}

    def _written(self, command: Write) -> int:
        answer = self.script.pop(0) if self.script else ""
        if answer in FAILURES:
            raise CommandFailed(answer, "not now")
        try:
            with self.connection:
                for sql, params in command.statements:
                    self.connection.execute(sql, params)
        except apsw.ConstraintError as error:
            raise CommandFailed("ConstraintViolated", str(error)) from error
        if answer:  # it is written, and nobody is told
            raise CommandFailed(answer, "the worker died")
        return 0

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "_MAX_BATCH_RECORDS", 3)
    monkeypatch.setattr(storing, "_FIRST_PAUSE_S", 0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small files: `rows.jsonl` has twenty records with one bad line and one repeated id."""
    folder = tmp_path_factory.mktemp("files")
    lines = [json.dumps({"id": number, "text": f"row {number}"}) for number in range(18)]
    lines.insert(5, "{bad")
    lines.insert(9, json.dumps({"id": 2, "text": "again"}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder


def order_for(file: Path, **changes: object) -> Order:
    wanted = {"database": "shop", "table": "t", "on_error": "skip", "primary_key": "id"} | changes
    return Order(reading=Reading(file, "jsonl"), **wanted)  # type: ignore[arg-type]  # as the tests give them


def imported(door: MemoryDoor, order: Order, watch: Watch | None = None) -> Outcome:
    async def main() -> Outcome:
        return await import_file(door, order, clock=SystemClock(), watch=watch or Watch())

    return anyio.run(main, backend="trio")  # files are read on the loop, which is the command's own


EXPECTED = [(number, f"row {number}") for number in range(18)]


@given(st.lists(st.sampled_from([*FAILURES, "WriteOutcomeUnknown", "", ""]), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_row_is_in_once_whatever_a_write_was_answered(files: Path, script: list[str]) -> None:
    complaints: list[BadRecord] = []
    door = MemoryDoor(["", "", *script])  # the tables are made before anything fails
    for _ in range(len(script) + 1):
        try:
            outcome = imported(door, order_for(files / "rows.jsonl"), Watch(complaining=complaints.append))
        except CommandFailed:
            continue  # it failed too often in a row: run again, it goes on
        break
    else:
        pytest.fail("it never ended")
    assert door.rows("SELECT id, text FROM t ORDER BY id") == EXPECTED
    assert (outcome.row_count, outcome.skipped_count) == (18, 2)
    assert {bad.line_number for bad in complaints} == {6, 10}


def test_a_write_that_keeps_failing_ends_the_import_and_the_next_run_goes_on(files: Path) -> None:
    door = MemoryDoor(["", "", "", *["StorageBusy"] * 6])
    with pytest.raises(CommandFailed, match="not now"):
        imported(door, order_for(files / "rows.jsonl"))
    outcome = imported(door, order_for(files / "rows.jsonl"))
    assert outcome.resumed_at_line == 4
    assert door.rows("SELECT id, text FROM t ORDER BY id") == EXPECTED


def test_a_broken_rule_stops_the_import_with_what_stood_before_it_stored(files: Path) -> None:
    door = MemoryDoor()
    order = order_for(files / "rows.jsonl", on_error="stop")
    with pytest.raises(BadLine, match=r"line 6: not a JSON object"):
        imported(door, order)
    assert door.rows("SELECT name FROM sqlite_schema WHERE name = 't'") == []
    clean = files / "clean.jsonl"
    clean.write_text((files / "rows.jsonl").read_text().replace("{bad\n", ""))
    with pytest.raises(BadLine, match=r"line 9: .*UNIQUE"):
        imported(door, order_for(clean, on_error="stop"))
    assert door.rows("SELECT count(*) FROM t") == [(8,)]
    assert imported(door, order_for(clean)).row_count == 18
    assert door.rows("SELECT id, text FROM t ORDER BY id") == EXPECTED


def test_a_ledger_that_moved_meanwhile_stops_the_import(files: Path) -> None:
    door = MemoryDoor()

    def moved(*_: object) -> None:
        door.connection.execute("UPDATE _dataserver_imports SET byte_offset = byte_offset + 1")

    with pytest.raises(ImportRefused, match="another import of the same file"):
        imported(door, order_for(files / "rows.jsonl"), Watch(storing=moved))
    assert door.rows("SELECT count(*) FROM t") == [(3,)]


def test_a_primary_key_that_is_no_column_is_refused_before_anything_is_made(files: Path) -> None:
    door = MemoryDoor()
    with pytest.raises(ImportRefused, match="no column nothing to be the primary key; there are id, text"):
        imported(door, order_for(files / "rows.jsonl", primary_key="nothing"))
    assert door.rows("SELECT name FROM sqlite_schema WHERE name = 't'") == []
