from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from storage.migrations import Migration
from tests.support.recording_vfs import Event, Recording, recording
from tests.support.writing import WriterBench, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSERT = "INSERT INTO item (name) VALUES (?)"


@pytest.fixture
def disk() -> Iterator[Recording]:
    with recording() as record:
        yield record


@pytest.fixture
def bench(tmp_path: Path, disk: Recording) -> Iterator[WriterBench]:
    bench = WriterBench(tmp_path)
    bench.schema("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    disk.events.clear()
    yield bench
    disk.on_event = lambda _event: None
    bench.close()


def fail_syncs(event: Event) -> None:
    """Fail each sync of the write-ahead log."""
    if event.kind == "sync" and event.file == "-wal":
        raise apsw.IOError("the sync failed")


def write_and_acknowledge(bench: WriterBench, disk: Recording) -> None:
    """Write in all the ways there are: alone, together, with replays, with checkpoints between."""
    number = 0
    for count in (1, 2, 50, 1, 7):
        calls = [bench.write(INSERT, [f"{number + place}"]) for place in range(count)]
        calls.append(bench.write("INSERT OR ROLLBACK INTO item (name) VALUES ('0')"))
        calls.append(bench.write_all((INSERT, [f"{number} a"]), (INSERT, [f"{number} b"])))
        calls.append(bench.write("INSERT INTO item (name) VALUES (hex(randomblob(2500000)))"))
        number += count
        outcomes = bench.run(*calls)
        for outcome in outcomes:
            if not isinstance(outcome, Exception):
                disk.acknowledge()


def test_every_acknowledgement_comes_after_a_sync_of_all_that_was_written(
    bench: WriterBench, disk: Recording
) -> None:
    write_and_acknowledge(bench, disk)

    assert disk.events.count(Event("acknowledge")) > 60
    assert Event("write", "", 0) in disk.events, "there was no checkpoint"
    assert disk.unsynced_acknowledgements() == 0


@pytest.mark.parametrize("level", ["OFF", "NORMAL"])
def test_the_recording_tells_full_from_less(bench: WriterBench, disk: Recording, level: str) -> None:
    bench.own(f"PRAGMA synchronous = {level}")

    write_and_acknowledge(bench, disk)

    assert disk.unsynced_acknowledgements() > 20


def test_a_batch_of_many_has_one_sync(bench: WriterBench, disk: Recording) -> None:
    bench.done(*[bench.write(INSERT, [f"{n}"]) for n in range(200)])

    assert [event.kind for event in disk.events if event.kind == "sync"] == ["sync"]


def test_a_disk_that_is_full_at_the_commit_fails_only_what_does_not_fit(
    bench: WriterBench, disk: Recording
) -> None:
    def full_after_200_kib(event: Event) -> None:
        if event.kind == "write" and event.file == "-wal" and event.offset > 200_000:
            raise apsw.FullError("no space")

    large = "INSERT INTO item (name) VALUES (hex(randomblob(?)))"
    disk.on_event = full_after_200_kib
    outcomes = bench.run(
        bench.write(INSERT, ["a"]),
        bench.write(large, [150_000]),
        bench.write(INSERT, ["b"]),
        bench.write(INSERT, ["c"]),
    )
    disk.on_event = lambda _event: None

    assert told(outcomes) == [[1, 1], "StorageFull", [1, 2], [1, 3]]
    assert bench.rows("SELECT name FROM item") == ["a", "b", "c"]
    assert bench.done(bench.write(large, [150_000])) == [[1, 4]]


def test_after_a_failed_sync_the_outcome_is_unknown_and_writing_goes_on(
    bench: WriterBench, disk: Recording
) -> None:
    disk.on_event = fail_syncs
    together = bench.run(bench.write(INSERT, ["a"]), bench.write(INSERT, ["b"]))
    alone = bench.run(bench.write(INSERT, ["c"]))
    disk.on_event = lambda _event: None

    assert told(together + alone) == ["WriteOutcomeUnknown"] * 3
    assert [each[0] for each in bench.done(bench.write(INSERT, ["d"]), bench.write(INSERT, ["e"]))] == [1, 1]
    # unknown means just that: what was written but not synced comes back when the log is read again
    assert set(bench.rows("SELECT name FROM item")) - {"a", "b", "c"} == {"d", "e"}
    assert bench.rows("PRAGMA integrity_check") == ["ok"]


def test_a_migration_whose_sync_fails_is_unknown_and_the_next_one_finds_what_came_of_it(
    bench: WriterBench, disk: Recording
) -> None:
    orders = Migration(
        "shop", 1, "orders", "CREATE TABLE orders (item_id INTEGER REFERENCES item)"
    ).as_params()
    disk.on_event = fail_syncs
    assert told(bench.run(bench.call("migrate", [orders]))) == ["WriteOutcomeUnknown"]
    disk.on_event = lambda _event: None

    assert bench.done(bench.call("migrate", [orders])) in ([0], [1])
    assert bench.rows("SELECT file_name FROM storage_migrations") == ["0001_orders.sql"]
    assert told(bench.run(bench.write("INSERT INTO orders VALUES (7)"))) == ["ConstraintViolated"]


def test_a_file_whose_connection_was_given_up_can_be_checkpointed_and_replaced(
    bench: WriterBench, disk: Recording
) -> None:
    bench.done(bench.call("create", name="other"), bench.call("close_database", name="other"))
    disk.on_event = fail_syncs
    assert told(bench.run(bench.write(INSERT, ["a"]))) == ["WriteOutcomeUnknown"]
    disk.on_event = lambda _event: None

    assert bench.done(bench.call("checkpoint")) == [True]
    assert told(bench.run(bench.call("replace", bench.path("other")))) == [None]
    assert bench.rows("SELECT count(*) FROM sqlite_schema") == [0]


def test_a_disk_that_fails_during_a_statement_breaks_nobody_elses_write(
    bench: WriterBench, disk: Recording
) -> None:
    bench.own("PRAGMA cache_size = 10")

    def fail_spills(event: Event) -> None:
        if event.kind == "write" and event.file == "-wal" and event.offset > 100_000:
            raise apsw.IOError("a bad block")

    disk.on_event = fail_spills
    outcomes = bench.run(
        bench.write(INSERT, ["a"]),
        bench.write("INSERT INTO item (name) VALUES (hex(randomblob(500000)))"),
        bench.write(INSERT, ["b"]),
    )
    disk.on_event = lambda _event: None

    assert told(outcomes) == [[1, 1], "StorageError", [1, 2]]
    assert bench.rows("SELECT name FROM item") == ["a", "b"]


def test_a_checkpoint_that_fails_costs_nobody_an_answer(bench: WriterBench, disk: Recording) -> None:
    def fail(event: Event) -> None:
        if event.file == "" and event.kind == "write":
            raise apsw.IOError("a bad block")

    disk.on_event = fail
    outcomes = bench.run(bench.write("INSERT INTO item (name) VALUES (hex(randomblob(2500000)))"))
    disk.on_event = lambda _event: None

    assert outcomes == [[1, 1]]
    assert bench.done(bench.call("statistics"))[0]["failed"] == 1
    assert bench.done(bench.call("checkpoint")) == [True]
    assert bench.rows("SELECT count(*) FROM item") == [1]


def test_a_writer_that_closes_holds_up_no_other_while_it_moves_a_long_log(
    bench: WriterBench, disk: Recording
) -> None:
    """Another may have the file by then: workers that were turned off, or on, close after it has gone over."""
    other = apsw.Connection(bench.path(), vfs="unix")
    bench.done(bench.write("INSERT INTO item (name) VALUES (zeroblob(2000000))"))
    moved: list[Event] = []

    def write_beside(event: Event) -> None:
        if event.kind == "write" and event.file == "":
            other.execute("BEGIN IMMEDIATE; ROLLBACK")
            moved.append(event)

    disk.on_event = write_beside
    bench.close()
    disk.on_event = lambda _event: None

    assert len(moved) > 400
    other.close()


def test_a_database_that_does_not_fit_on_the_disk_leaves_no_file(bench: WriterBench, disk: Recording) -> None:
    def full(event: Event) -> None:
        if event.kind == "write":
            raise apsw.FullError("no space")

    disk.on_event = full
    outcomes = bench.run(bench.call("create", name="new"))
    disk.on_event = lambda _event: None

    assert told(outcomes) == ["StorageFull"]
    assert [path.name for path in bench.folder.iterdir() if path.name.startswith("new")] == []
