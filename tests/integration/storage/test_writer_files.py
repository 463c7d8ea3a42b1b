from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from storage.sqlite.checkpoints import KEPT_LOG_BYTES, PASSIVE_PAGES
from storage.sqlite.writer import APPLICATION_ID
from tests.support.writing import WriterBench, told

if TYPE_CHECKING:
    from collections.abc import Iterator

PAST = 1e-9


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WriterBench]:
    bench = WriterBench(tmp_path, max_open_connections=2, busy_timeout_s=0.05)
    bench.schema("CREATE TABLE item (name TEXT)")
    yield bench
    bench.close()


def files(bench: WriterBench) -> list[str]:
    return sorted(path.name for path in bench.folder.iterdir())


def reader(bench: WriterBench) -> apsw.Connection:
    """Return another connection that holds a snapshot of what is there now."""
    connection = apsw.Connection(bench.path(), flags=apsw.SQLITE_OPEN_READONLY)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM item").fetchall()
    return connection


def fill(bench: WriterBench, pages: int) -> None:
    bench.done(bench.write("INSERT INTO item VALUES (zeroblob(?))", [pages * 4096]))


def test_a_new_database_is_ours_and_in_wal_mode(bench: WriterBench) -> None:
    assert bench.rows("PRAGMA application_id") == [APPLICATION_ID]
    assert bench.rows("PRAGMA journal_mode") == ["wal"]
    assert bench.own("PRAGMA synchronous") == 2


def test_creating_what_is_there_is_refused_unless_it_may_exist(bench: WriterBench) -> None:
    assert told(
        bench.run(bench.call("create"), bench.call("create", True), bench.call("create", True, name="new"))
    ) == [
        "DatabaseExists",
        False,
        True,
    ]
    assert bench.rows("SELECT count(*) FROM item") == [0]


def test_a_database_in_no_folder_and_a_write_to_none_are_not_found(bench: WriterBench) -> None:
    outcomes = bench.run(
        bench.call("create", name="nowhere/new"),
        bench.write("DELETE FROM item", name="none"),
        bench.call("drop", name="none"),
    )

    assert told(outcomes) == ["DatabaseNotFound"] * 3
    assert told(bench.run(bench.call("create", name="n" * 300))) == ["StorageError"]
    assert not (bench.folder / "none.db").exists()


def test_dropping_removes_all_files_and_the_name_can_be_used_again(bench: WriterBench) -> None:
    bench.done(bench.write("INSERT INTO item VALUES ('old')"), bench.call("drop"))
    assert files(bench) == []

    bench.done(bench.call("create"), bench.write_all("CREATE TABLE item (name TEXT)"))
    assert bench.rows("SELECT name FROM item") == []


def test_a_log_that_an_earlier_database_left_does_not_get_into_a_new_one(bench: WriterBench) -> None:
    bench.done(bench.write("INSERT INTO item VALUES ('old')"))
    stale = Path(bench.path() + "-wal").read_bytes()
    assert stale
    bench.done(bench.call("drop"))
    Path(bench.path() + "-wal").write_bytes(stale)

    bench.done(bench.call("create"))

    assert bench.rows("SELECT count(*) FROM sqlite_schema") == [0]


def test_calls_that_came_together_are_done_in_order(bench: WriterBench) -> None:
    insert = bench.write("INSERT INTO item VALUES ('a')")
    create = bench.write_all("CREATE TABLE item (name TEXT)")

    outcomes = bench.run(insert, bench.call("drop"), insert, bench.call("create"), insert, create, insert)

    assert told(outcomes) == [[1, 1], None, "DatabaseNotFound", True, "SqlError", [[0, 0]], [1, 1]]


def test_closing_leaves_no_log_behind(bench: WriterBench) -> None:
    bench.done(bench.write("INSERT INTO item VALUES ('a')"))
    assert "shop.db-wal" in files(bench)

    bench.close()
    bench.close()

    assert files(bench) == ["shop.db"]
    assert bench.rows("SELECT name FROM item") == ["a"]


def test_closing_behind_a_reader_loses_nothing(bench: WriterBench) -> None:
    slow = reader(bench)
    bench.done(bench.write("INSERT INTO item VALUES ('a')"))

    bench.close()
    slow.close()

    assert bench.rows("SELECT name FROM item") == ["a"]


def test_a_closed_database_is_opened_again_when_needed(bench: WriterBench) -> None:
    bench.done(bench.call("close_database"), bench.call("close_database"))
    assert files(bench) == ["shop.db"]

    bench.done(bench.write("INSERT INTO item VALUES ('a')"))


def test_only_so_many_databases_are_open_and_the_one_unused_for_longest_is_closed(bench: WriterBench) -> None:
    for name in ("one", "two"):
        bench.done(bench.call("create", name=name))

    assert [name for name in files(bench) if name.endswith("-wal")] == ["one.db-wal", "two.db-wal"]
    bench.done(bench.write("INSERT INTO item VALUES ('a')"))
    assert bench.rows("SELECT name FROM item") == ["a"]


def test_a_long_log_is_moved_into_the_file_between_batches(bench: WriterBench) -> None:
    for _ in range(6):
        fill(bench, PASSIVE_PAGES // 2)

    facts = bench.done(bench.call("statistics"))[0]
    assert facts["passive"] >= 1
    assert facts["wal_pages"] <= 2 * PASSIVE_PAGES
    assert Path(bench.path() + "-wal").stat().st_size < 3 * PASSIVE_PAGES * 4096


def test_behind_a_reader_that_stays_the_log_grows_and_is_emptied_when_it_goes(bench: WriterBench) -> None:
    slow = reader(bench)
    for _ in range(19):
        fill(bench, PASSIVE_PAGES)
    grown = bench.done(bench.call("statistics"))[0]
    slow.close()
    for _ in range(5):
        fill(bench, PASSIVE_PAGES)
    emptied = bench.done(bench.call("statistics"))[0]

    assert grown["truncate"] == grown["busy"] == 1
    assert grown["wal_pages"] > 19 * PASSIVE_PAGES
    assert emptied["wal_pages"] < 5 * PASSIVE_PAGES
    assert Path(bench.path() + "-wal").stat().st_size < KEPT_LOG_BYTES + 2 * PASSIVE_PAGES * 4096


def test_a_checkpoint_on_request_empties_the_log_or_says_that_it_could_not(bench: WriterBench) -> None:
    slow = reader(bench)
    bench.done(bench.write("INSERT INTO item VALUES ('a')"))
    assert bench.done(bench.call("checkpoint")) == [False]

    slow.close()

    assert bench.done(bench.call("checkpoint")) == [True]
    assert Path(bench.path() + "-wal").stat().st_size == 0


def test_a_path_that_leads_nowhere_costs_those_that_came_with_it_nothing(bench: WriterBench) -> None:
    bench.schema("CREATE TABLE item (name TEXT)", name=_made(bench, "inside/lost"))
    (bench.folder / "inside").rename(bench.folder / "moved")
    (bench.folder / "inside").write_text("a file where the folder was")

    outcomes = bench.run(
        bench.write("INSERT INTO item VALUES ('a')"),
        bench.write("INSERT INTO item VALUES ('b')", name="inside/lost"),
        bench.write("INSERT INTO item VALUES ('c')"),
    )

    assert told(outcomes) == [[1, 1], "DatabaseNotFound", [1, 2]]


def _made(bench: WriterBench, name: str) -> str:
    Path(bench.path(name)).parent.mkdir()
    bench.done(bench.call("create", name=name))
    return name


def test_maintenance_past_its_deadline_is_not_begun(bench: WriterBench) -> None:
    assert told(bench.run(bench.call("drop", deadline=PAST))) == ["WriteTimedOut"]
    assert bench.rows("SELECT count(*) FROM item") == [0]


def test_a_file_that_is_no_database_is_told_as_damaged(bench: WriterBench) -> None:
    (bench.folder / "text.db").write_text("no database " * 1000)

    assert told(bench.run(bench.write("DELETE FROM item", name="text"))) == ["DatabaseCorrupt"]
