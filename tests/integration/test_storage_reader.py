"""What a reading worker allows, refuses and survives, on real files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import apsw
import pytest
import trio

from storage import (
    DatabaseCorrupt,
    DatabaseNotFound,
    NotAllowed,
    NotReadOnly,
    ParameterMismatch,
    QueryTimedOut,
    ResultTooLarge,
    SqlError,
)
from storage.sqlite.connection import ConnectionSettings, Deadline, OnEventLoop, open_reader
from storage.sqlite.service import ReaderService
from tests.support.reading import MAX_BYTES, Reading, make_database, whole
from workers import Body, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENDLESS = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
NUMBERS = (
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, 'row ' || i AS t FROM n"
)


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    path = make_database(
        tmp_path / "r.db",
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x', b);
        INSERT INTO t VALUES(1, 'one', NULL), (2, 'two', 2.5);
        CREATE TABLE w(k TEXT, n INT, PRIMARY KEY(n, k)) WITHOUT ROWID, STRICT;
        CREATE VIEW v AS SELECT a, b FROM t;
        CREATE VIRTUAL TABLE f USING fts5(body);
        """,
    )
    opened = Reading(path)
    yield opened
    opened.service.close()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t DEFAULT VALUES",
        "UPDATE t SET a = 1",
        "DELETE FROM t",
        "CREATE TABLE z(a)",
        "CREATE TEMP TABLE z(a)",
        "DROP TABLE t",
        "INSERT INTO t(a) VALUES('q') RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "INSERT INTO f(f) VALUES('optimize')",
    ],
)
@pytest.mark.parametrize("method", ["json", "rows", "stream"])
def test_a_write_is_refused_on_the_way_for_reading(reading: Reading, sql: str, method: str) -> None:
    with pytest.raises(NotReadOnly):
        getattr(reading, method)(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "ATTACH '/tmp/other.db' AS o",
        "DETACH main",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = 1",
        "PRAGMA database_list",
        "PRAGMA user_version = 3",
        "PRAGMA wal_checkpoint",
        "PRAGMA mmap_size = 100000",
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_database_list",
    ],
)
def test_what_is_not_a_callers_business_is_refused(reading: Reading, sql: str) -> None:
    for method in ("json", "rows", "stream"):
        with pytest.raises((NotAllowed, SqlError)) as caught:
            getattr(reading, method)(sql)
        assert isinstance(caught.value, NotAllowed) or "pragma_" in sql


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        (
            "PRAGMA table_info(t)",
            {"cid": 0, "name": "id", "type": "INTEGER", "notnull": 0, "dflt_value": None, "pk": 1},
        ),
        ("PRAGMA user_version", {"user_version": 0}),
        ("SELECT name FROM pragma_table_info('t')", {"name": "id"}),
    ],
)
def test_a_pragma_that_only_tells_is_answered(reading: Reading, sql: str, first: dict[str, Any]) -> None:
    assert reading.json(sql)[0] == first
    assert reading.rows(sql, as_maps=True)[0] == first
    assert b"".join(reading.stream(sql)) == reading.json_bytes(sql)


def test_explain_is_answered(reading: Reading) -> None:
    found = reading.json("EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = ?", [None])
    assert found[0]["detail"] == "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"
    assert reading.json("EXPLAIN SELECT 1")[0]["opcode"] == "Init"


@pytest.mark.parametrize(
    ("sql", "offset"),
    [
        ("SELECT 1 FRM t x", 13),
        ("SELECT 'é', 1 FRM t x", 19),
        ("", 0),
        ("-- nothing", 0),
        (" ; ;; /* nothing */ ", 0),
        ("SELECT 1; SELECT 2", 10),
        ("SELECT 'é'; SELECT 2", 13),
        ("SELECT 1) SELECT (2", 8),
        ("SELECT 1) AS x, (SELECT 2", 8),
        ("SELECT nothing_of_that_name FROM t", 7),
        ("SELECT 1\0", None),
        ("SELECT '\ud800'", None),
        ('SELECT "a text in the wrong quotes"', 7),
    ],
)
def test_text_that_is_no_single_statement_is_refused_with_its_place(
    reading: Reading, sql: str, offset: int | None
) -> None:
    for method in ("json", "rows", "stream"):
        with pytest.raises(SqlError) as caught:
            getattr(reading, method)(sql)
        assert caught.value.offset == offset
        assert caught.value.details == {"offset": offset}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a;",
        ";SELECT 1 AS a",
        "/* x */ SELECT 1 AS a -- hi;",
        "SELECT 1 AS a /* open",
        "SELECT 1 AS a ; -- q",
    ],
)
def test_comments_and_semicolons_around_one_statement_do_no_harm(reading: Reading, sql: str) -> None:
    assert reading.json(sql) == [{"a": 1}]
    plan = reading.service._reader(reading.path, 0)._plans.get((sql, "objects"))
    assert plan is not None
    is_written_by_sqlite = "open" not in sql  # an open comment would swallow the wrapping
    assert (plan.sql is not None) == is_written_by_sqlite
    assert reading.rows(sql) == [(1,)]
    assert reading.stream(sql, form="csv") == [b'"a"\r\n1\r\n']


def test_a_table_may_be_named_like_the_wrapping(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "q.db", "CREATE TABLE q(c0, q_q); INSERT INTO q VALUES(1, 2)"))
    assert reading.json("SELECT q.c0, q_q FROM q") == [{"c0": 1, "q_q": 2}]
    reading.service.close()


def test_a_text_that_is_too_long_is_refused(reading: Reading) -> None:
    for sql in ("SELECT 1" + " " * 1_000_000 + ", 2", "SELECT 1" + " " * 1_600_000 + ", 2"):
        with pytest.raises(SqlError, match="longer than 1000000 bytes"):
            reading.json(sql)
    assert reading.json("SELECT 1 AS a" + " " * 900_000) == [{"a": 1}]


@pytest.mark.parametrize(
    ("sql", "params", "words"),
    [
        ("SELECT ?, ?", [1], "2 parameters, and 1 are given"),
        ("SELECT ?", [1, 2], "1 parameters, and 2 are given"),
        ("SELECT 1", [1], "0 parameters, and 1 are given"),
        ("SELECT :a", {}, "'a'"),
        ("SELECT ?", {"a": 1}, "no names"),
        ("SELECT ?", [2**63], "64 bits"),
        ("SELECT ?", ["\ud800"], "surrogate"),
        ("SELECT ?", [object()], "type"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_words(
    reading: Reading, sql: str, params: Any, words: str
) -> None:
    for ask in (reading.json, reading.rows):
        with pytest.raises(ParameterMismatch, match=words):
            ask(sql, params)
    if isinstance(params, list):
        with pytest.raises(ParameterMismatch, match=words):
            reading.stream(sql, params)


def test_parameters_may_have_names_and_numbers(reading: Reading) -> None:
    assert reading.json("SELECT :a AS a, @b AS b, $c AS c", {"a": 1, "b": "x", "c": None, "d": 5}) == [
        {"a": 1, "b": "x", "c": None}
    ]
    assert reading.rows("SELECT ?2, ?1", [1, 2]) == [(2, 1)]


def test_an_error_of_the_running_statement_is_told_without_a_place_in_our_wrapping(reading: Reading) -> None:
    for ask in (reading.json, reading.rows, reading.stream):
        with pytest.raises(SqlError, match="integer overflow") as caught:
            ask("SELECT sum(9223372036854775807) FROM t")
        assert caught.value.offset is None


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", [False, True])
def test_a_large_answer_leaves_as_a_body(reading: Reading, envelope: bool) -> None:
    sent = (reading.path, 0, NUMBERS, [10_000], "arrays", envelope, 64 * 1024 * 1024)
    answer = reading.call("json", *sent)
    assert isinstance(answer, Body)
    assert whole(answer).endswith(b'[10000,"row 10000"]]' + (b"}" if envelope else b""))


def test_rows_of_many_blocks_come_back_whole_and_in_order(reading: Reading) -> None:
    expected = [(number, f"row {number}") for number in range(1, 50_001)]
    assert reading.rows(NUMBERS, [50_000]) == expected
    assert reading.rows(NUMBERS, [50_000], as_maps=True)[-1] == {"i": 50_000, "t": "row 50000"}


@pytest.mark.parametrize("limit", [100, 1_000, 300_000])
def test_an_answer_beyond_its_bytes_is_refused_and_the_next_is_answered(reading: Reading, limit: int) -> None:
    for ask in (reading.json, reading.rows):
        with pytest.raises(ResultTooLarge) as caught:
            ask(NUMBERS, [50_000], max_bytes=limit)
        assert caught.value.limit_bytes == limit
        assert ask("SELECT 1", max_bytes=limit)
    with pytest.raises(ResultTooLarge):
        reading.json("PRAGMA function_list", max_bytes=100)


def test_an_answer_beyond_what_a_value_may_have_is_refused(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "s.db"), max_result_bytes=100_000)
    for sql in ("SELECT zeroblob(100001)", "SELECT randomblob(900000000)", "SELECT hex(zeroblob(60000))"):
        for ask in (reading.json, reading.rows, reading.stream):
            with pytest.raises(ResultTooLarge):
                ask(sql)
    with pytest.raises(ResultTooLarge):
        reading.json(NUMBERS, [50_000])
    assert len(reading.rows(NUMBERS, [50_000])) == 50_000
    reading.service.close()


def test_an_endless_answer_is_refused_when_it_passes_its_bytes(reading: Reading) -> None:
    with pytest.raises(ResultTooLarge):
        reading.rows(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, a FROM n, t", max_bytes=1_000
        )
    held = reading.service._reader(reading.path, 0).connection
    assert held.txn_state() == apsw.SQLITE_TXN_NONE


def test_only_the_rows_asked_for_are_stepped_and_no_snapshot_is_left(reading: Reading) -> None:
    endless = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, a FROM n, t"
    assert reading.rows(endless, max_count=3) == [(1, "one"), (1, "two"), (2, "one")]
    held = reading.service._reader(reading.path, 0).connection
    assert held.txn_state() == apsw.SQLITE_TXN_NONE


@pytest.mark.parametrize("method", ["json", "rows", "stream"])
def test_no_snapshot_is_left_after_a_failure(reading: Reading, method: str) -> None:
    with pytest.raises(SqlError):
        getattr(reading, method)("SELECT a, json_extract(a, '$') FROM t")
    held = reading.service._reader(reading.path, 0).connection
    assert held.txn_state() == apsw.SQLITE_TXN_NONE


@pytest.mark.parametrize("method", ["json", "rows"])
def test_a_read_ends_at_its_deadline_and_the_connection_is_usable_at_once(
    tmp_path: Path, method: str
) -> None:
    reading = Reading(make_database(tmp_path / "d.db"), worker_kind="inline")
    with pytest.raises(QueryTimedOut):
        getattr(reading, method)(ENDLESS, deadline=time.monotonic() + 0.05)
    assert reading.rows("SELECT 1") == [(1,)]
    reading.service.close()


@pytest.mark.parametrize("method", ["json", "rows"])
def test_an_interrupt_from_another_thread_ends_the_read_and_spares_the_next(
    reading: Reading, method: str
) -> None:
    interrupts = threading.Timer(0.05, reading.service.interrupt)
    interrupts.start()
    with pytest.raises(QueryTimedOut):
        getattr(reading, method)(ENDLESS)
    interrupts.join()
    reading.service.interrupt()  # too late: nothing runs, and what runs next has done nothing wrong
    assert reading.rows(f"SELECT max(i) FROM ({NUMBERS})", [500_000]) == [(500_000,)]  # noqa: S608


def test_sorting_more_than_a_worker_may_hold_is_refused(tmp_path: Path) -> None:
    """In a process of its own, since the bound is the process's."""
    make_database(tmp_path / "h.db")
    script = f"""
from tests.support.reading import Reading
from storage import ResultTooLarge
from pathlib import Path
reading = Reading(Path({str(tmp_path / "h.db")!r}), heap_limit_bytes=64 * 1024 * 1024)
try:
    reading.json({NUMBERS!r} + " ORDER BY t || hex(zeroblob(500)) DESC", [200_000])
except ResultTooLarge as error:
    print("refused", reading.json("SELECT 1 AS a"))
"""
    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout == "refused [{'a': 1}]\n", found.stderr


def test_a_connection_that_is_stopped_while_it_is_opened_is_closed(tmp_path: Path) -> None:
    path = str(make_database(tmp_path / "half.db"))
    stopped = Deadline()
    stopped.stopped = True
    with pytest.raises(apsw.InterruptError) as caught:
        open_reader(path, ConnectionSettings(progress_steps=1), stopped)
    assert caught.tb is not None  # it holds whatever the frames held
    assert path not in [each.filename for each in apsw.connections()]


# -- what changes under the reader -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["json", "rows", "stream"])
def test_a_changed_schema_is_seen_by_the_next_read_of_the_same_text(reading: Reading, first: str) -> None:
    sql = "SELECT * FROM t WHERE id = 1"
    assert reading.json(sql) == [{"id": 1, "a": "one", "b": None}]
    assert reading.rows(sql, as_maps=True) == [{"id": 1, "a": "one", "b": None}]
    other = apsw.Connection(reading.path)
    other.execute("DROP VIEW v")
    for change, expected in (
        ("ALTER TABLE t ADD COLUMN c DEFAULT 7", {"id": 1, "a": "one", "b": None, "c": 7}),
        ("ALTER TABLE t RENAME COLUMN a TO z", {"id": 1, "z": "one", "b": None, "c": 7}),
        ("ALTER TABLE t DROP COLUMN b", {"id": 1, "z": "one", "c": 7}),
        (
            "DROP TABLE t; CREATE TABLE t(id, a); INSERT INTO t VALUES(1, x'00')",
            {"id": 1, "a": {"$base64": "AA=="}},
        ),
    ):
        other.execute(change)
        if first == "rows":
            assert list(reading.rows(sql, as_maps=True)[0]) == list(expected)
        if first == "stream":
            assert json.loads(b"".join(reading.stream(sql))) == [expected]
        assert reading.json(sql) == [expected]
        assert list(reading.rows(sql, as_maps=True)[0]) == list(expected)
    other.execute("DROP TABLE t")
    for ask in (reading.json, reading.rows, reading.stream):
        with pytest.raises(SqlError, match="no such table"):
            ask(sql)
    other.close()


_CHANGES = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(10_000)
connection.pragma("synchronous", "off")
has_more = False
while sys.stdin.buffer.raw.read(1):
    connection.execute("ALTER TABLE t DROP COLUMN c" if has_more else "ALTER TABLE t ADD COLUMN c DEFAULT 7")
    has_more = not has_more
    print(flush=True)
"""


@pytest.mark.parametrize("zeros_count", [0, 1_000], ids=["by SQLite", "row by row"])
@pytest.mark.parametrize("form", ["json", "rows", "maps", "json stream", "csv stream", "cost"])
def test_a_read_beside_a_change_of_the_schema_answers_as_before_it_or_as_after_it(
    reading: Reading, form: str, zeros_count: int
) -> None:
    zeros = dict.fromkeys((f"z{place}" for place in range(zeros_count)), 0)
    sql = f"SELECT t.*{''.join(f', 0 AS {name}' for name in zeros)} FROM t"  # noqa: S608
    first, second = {"id": 1, "a": "one", "b": None}, {"id": 2, "a": "two", "b": 2.5}
    states = [[{**row, **added, **zeros} for row in (first, second)] for added in ({}, {"c": 7})]
    asked: dict[str, tuple[Callable[[], Any], Callable[[list[dict[str, Any]]], Any]]] = {
        "json": (lambda: reading.json(sql), list),
        "rows": (lambda: reading.rows(sql), lambda rows: [tuple(row.values()) for row in rows]),
        "maps": (lambda: reading.rows(sql, as_maps=True), list),
        "json stream": (lambda: json.loads(b"".join(reading.stream(sql))), list),
        "csv stream": (lambda: b"".join(reading.stream(sql, form="csv")).decode(), _csv),
        "cost": (
            lambda: reading.call("cost", reading.path, reading.generation, sql, [], MAX_BYTES)["row_count"],
            len,
        ),
    }
    ask, told = asked[form]
    allowed = [told(rows) for rows in states]
    with subprocess.Popen(  # noqa: S603 - our own text
        [sys.executable, "-c", _CHANGES, reading.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(100):
            other.stdin.write(b".")
            answer = ask()
            assert answer in allowed
            assert other.stdout.read(1)
        other.stdin.close()
        assert other.wait(30) == 0


def test_the_tables_that_a_statement_reads_are_those_of_the_views_of_today(reading: Reading) -> None:
    asked = ("tables_read", reading.path, reading.generation, "SELECT * FROM v")
    other = apsw.Connection(reading.path)
    other.execute("CREATE TABLE elsewhere(x); DROP VIEW v; CREATE VIEW v AS SELECT * FROM t")
    assert reading.call(*asked) == ["t", "v"]
    other.execute("DROP VIEW v; CREATE VIEW v AS SELECT * FROM elsewhere")
    assert reading.call(*asked) == ["elsewhere", "v"]
    other.close()


def _csv(rows: list[dict[str, Any]]) -> str:
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(",".join(map(_csv_field, line)) + "\r\n" for line in lines)


def _csv_field(value: Any) -> str:
    return "" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def test_a_column_that_was_proven_is_not_once_the_table_is_another(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("CREATE TABLE p(a TEXT) STRICT; INSERT INTO p VALUES('text')")
    assert reading.json("SELECT a FROM p") == [{"a": "text"}]
    other.execute("DROP TABLE p; CREATE TABLE p(a TEXT); INSERT INTO p VALUES(x'1331')")
    assert reading.json("SELECT a FROM p") == [{"a": {"$base64": "EzE="}}]
    other.close()


def test_a_write_is_told_from_a_mistake_by_the_schema_as_it_is_now(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("CREATE INDEX t_a ON t(a)")
    assert reading.rows("SELECT a FROM t INDEXED BY t_a WHERE a = 'one'") == [("one",)]
    with pytest.raises(SqlError, match="already exists"):
        reading.rows("CREATE INDEX t_a ON t(a)")
    other.execute("DROP INDEX t_a")
    with pytest.raises(NotReadOnly):
        reading.rows("CREATE INDEX t_a ON t(a)")
    other.close()


def test_what_was_committed_is_read(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("INSERT INTO t(id, a) VALUES(3, 'three')")
    assert reading.rows("SELECT a FROM t WHERE id = 3") == [("three",)]
    other.close()


def test_another_file_under_the_same_path_is_opened_by_its_generation(
    reading: Reading, tmp_path: Path
) -> None:
    assert reading.rows("SELECT count(*) FROM t") == [(2,)]
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"r.db{ending}").unlink(missing_ok=True)
    make_database(tmp_path / "r.db", "CREATE TABLE t(id); INSERT INTO t VALUES(1)")
    assert reading.rows("SELECT count(*) FROM t") == [(2,)]
    reading.generation = 1
    assert reading.rows("SELECT count(*) FROM t") == [(1,)]


def test_no_more_databases_are_open_than_allowed(tmp_path: Path) -> None:
    paths = [
        make_database(tmp_path / f"{n}.db", f"CREATE TABLE t(n); INSERT INTO t VALUES({n})") for n in range(5)
    ]
    reading = Reading(paths[0], max_open_connections=2)
    for turn in (0, 1, 2, 0, 3, 4, 0, 1):
        reading.path = str(paths[turn])
        assert reading.rows("SELECT n FROM t LIMIT 1") == [(turn,)]
        assert len(reading.service._readers) <= 2
    assert set(reading.service._readers._open) == {str(paths[0]), str(paths[1])}
    reading.service.close()


def test_a_missing_file_and_one_that_is_no_database_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFound):
        Reading(tmp_path / "none.db").rows("SELECT 1")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "bad.db").write_bytes(b"this is no database, and long enough to be looked at" * 100)
    with pytest.raises(DatabaseCorrupt):
        Reading(tmp_path / "bad.db").rows("SELECT * FROM sqlite_schema")


def test_a_damaged_page_is_told_as_damage(tmp_path: Path) -> None:
    path = make_database(
        tmp_path / "torn.db",
        f"CREATE TABLE t(a); INSERT INTO t SELECT t FROM ({NUMBERS.replace('?', '5000')})",  # noqa: S608
    )
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xff" * 20_000)
    reading = Reading(path)
    for ask in (reading.json, reading.rows, reading.stream):
        with pytest.raises(DatabaseCorrupt):
            ask("SELECT * FROM t")
    reading.service.close()


def test_a_file_that_is_no_directory_entry_any_more_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFound):
        Reading(tmp_path / "no" / "such" / "folder.db").rows("SELECT 1")


# -- the loop ----------------------------------------------------------------------------------------------------------


async def test_no_service_is_built_on_the_thread_of_an_event_loop() -> None:
    with pytest.raises(OnEventLoop):
        ReaderService({})
    ReaderService({"worker_kind": "inline"}).close()


async def test_a_service_built_elsewhere_refuses_to_run_on_the_thread_of_an_event_loop(
    tmp_path: Path,
) -> None:
    make_database(tmp_path / "l.db")
    service = await anyio.to_thread.run_sync(ReaderService, {})
    with pytest.raises(OnEventLoop):
        service.run(Call(1, "rows", [str(tmp_path / "l.db"), 0, "SELECT 1", [], False, 0, 1_000]))


def test_a_file_that_was_put_in_the_place_of_an_open_one_is_read_once_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.service.LOOK_S", 1e-9)
    reading = Reading(make_database(tmp_path / "r.db", "CREATE TABLE t(a); INSERT INTO t VALUES('old')"))
    assert reading.rows("SELECT a FROM t") == [("old",)]

    make_database(tmp_path / "new.db", "CREATE TABLE t(a); INSERT INTO t VALUES('new')").replace(
        tmp_path / "r.db"
    )
    assert reading.rows("SELECT a FROM t") == [("new",)]

    (tmp_path / "r.db").unlink()
    with pytest.raises(DatabaseNotFound):
        reading.rows("SELECT a FROM t")
    reading.service.close()


def test_a_thread_beside_a_loop_may_read(reading: Reading) -> None:
    async def elsewhere() -> list[Any]:
        opened = await trio.to_thread.run_sync(lambda: Reading(reading.path).rows("SELECT 1"))
        return list(opened)

    assert trio.run(elsewhere) == [(1,)]


def test_a_full_text_search_is_answered_in_every_form(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("INSERT INTO f VALUES('the quick brown fox'), ('a lazy dog'), ('quick, quick')")
    other.close()
    sql = "SELECT rowid, body, rank < 0 AS ranked FROM f WHERE f MATCH ? ORDER BY rank"
    for _ in range(2):
        assert reading.json(sql, ["quick"], shape="arrays") == [
            [3, "quick, quick", 1],
            [1, "the quick brown fox", 1],
        ]
        assert [row[0] for row in reading.rows(sql, ["quick"])] == [3, 1]
    assert b"".join(reading.stream(sql, ["quick"])) == reading.json_bytes(sql, ["quick"])


# -- what the database holds -----------------------------------------------------------------------------------------


def test_tables_are_described(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("ANALYZE")
    other.close()
    found = {each[0]: each[1:] for each in reading.call("tables", reading.path, 0)}
    assert list(found) == ["f", "t", "v", "w"]
    assert found["t"] == [
        False,
        True,
        False,
        2,
        [["id", "INTEGER", False, None, 1], ["a", "TEXT", True, "'x'", 0], ["b", "", False, None, 0]],
        [],
    ]
    assert found["w"] == [
        False,
        False,
        True,
        None,
        [["k", "TEXT", True, None, 2], ["n", "INT", True, None, 1]],
        [],
    ]
    assert found["v"][0] is True
    assert found["v"][-2] == [["a", "TEXT", False, None, 0], ["b", "BLOB", False, None, 0]]
    assert found["f"][-2] == [["body", "", False, None, 0]]


def test_a_view_of_what_is_gone_does_not_hide_the_other_tables(reading: Reading) -> None:
    other = apsw.Connection(reading.path)
    other.execute("CREATE TABLE gone(a); CREATE VIEW left_behind AS SELECT * FROM gone; DROP TABLE gone")
    other.close()
    found = {each[0]: each[-2] for each in reading.call("tables", reading.path, 0)}
    assert found["left_behind"] == []
    assert "t" in found
