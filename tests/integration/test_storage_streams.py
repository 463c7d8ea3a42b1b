"""Answers in pieces: bounds, back-pressure, snapshots."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from storage import NotReadOnly, QueryTimedOut, ReadTooOld, ResultTooLarge, SqlError, StorageSaturated
from storage.sqlite.connection import ConnectionSettings, Deadline, prepare_library
from storage.sqlite.held_reads import HoldingSettings
from storage.sqlite.json_results import JsonRules
from storage.sqlite.reader import Reader
from storage.sqlite.streams import Streams
from tests.support.reading import Reading, make_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = (
    "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, 'row ' || i AS t FROM n"
)


class StreamBench:
    """Streams over one file, with a clock of their own."""

    def __init__(self, path: Path, *, chunk_bytes: int, **bounds: Any) -> None:
        prepare_library()
        self.path = str(path)
        self.now = 1_000.0
        self.streams = Streams(HoldingSettings(**bounds), chunk_bytes=chunk_bytes, clock=lambda: self.now)

    def reader(self) -> Reader:
        return Reader(self.path, 0, ConnectionSettings(), Deadline(), JsonRules())

    def open(self, number: int, sql: str = NUMBERS, params: Any = (1_000,)) -> None:
        self.streams.begin(number, self.reader, sql, list(params), "json")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StreamBench]:
    made = StreamBench(
        make_database(tmp_path / "s.db", "CREATE TABLE t(a); INSERT INTO t VALUES(1)"),
        max_count=2,
        idle_s=10.0,
        age_s=100.0,
        chunk_bytes=1_024,
    )
    yield made
    made.streams.close_all()


@pytest.mark.parametrize("count", [0, 1, 2, 1_000])
@pytest.mark.parametrize("chunk_bytes", [1_024, 128 * 1024])
def test_a_stream_has_what_the_answer_in_one_piece_has(tmp_path: Path, count: int, chunk_bytes: int) -> None:
    reading = Reading(make_database(tmp_path / "s.db"), stream_chunk_bytes=chunk_bytes)
    sql = f"SELECT * FROM ({NUMBERS}) WHERE i <= ?1"  # noqa: S608 - a text of our own
    pieces = reading.stream(sql, [count])
    assert b"".join(pieces) == reading.json_bytes(sql, [count])
    assert all(len(piece) < chunk_bytes + 100 for piece in pieces)
    lines = b"".join(reading.stream(sql, [count], "ndjson"))
    assert lines.count(b"\n") == count
    assert [json.loads(line) for line in lines.splitlines()] == reading.json(sql, [count])
    rows = list(csv.reader(io.StringIO(b"".join(reading.stream(sql, [count], "csv")).decode())))
    assert rows == [["i", "t"], *([str(number), f"row {number}"] for number in range(1, count + 1))]
    reading.service.close()


def test_csv_tells_null_from_empty_text_and_keeps_what_a_text_holds(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "s.db"))
    sql = "SELECT NULL AS a, '' AS b, 'say \"x\", y' || char(13, 10) || 'z' AS c, x'00ff' AS d, 9e999 AS e, 0.1 AS f"
    assert b"".join(reading.stream(sql, form="csv")) == (
        b'"a","b","c","d","e","f"\r\n,"","say ""x"", y\r\nz",AP8=,Infinity,0.1\r\n'
    )
    reading.service.close()


def test_a_stream_tells_one_moment_whatever_is_written_meanwhile(bench: StreamBench) -> None:
    other = apsw.Connection(bench.path)
    other.execute(
        "WITH n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i FROM n"
    )
    bench.open(1, "SELECT a FROM t ORDER BY a", ())
    is_last, first = bench.streams.next(1)
    other.execute("DELETE FROM t")
    other.execute("DROP TABLE t")
    pieces = [first]
    while not is_last:
        is_last, piece = bench.streams.next(1)
        pieces.append(piece)
    assert [row["a"] for row in json.loads(b"".join(pieces))] == list(range(1, 2_001))
    other.close()


def test_nothing_is_made_before_it_is_asked_for(bench: StreamBench) -> None:
    """An endless answer has pieces."""
    bench.open(1, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", ())
    pieces = [bench.streams.next(1) for _ in range(3)]
    assert [is_last for is_last, _ in pieces] == [False] * 3
    assert all(len(piece) < 1_100 for _, piece in pieces)


def test_no_more_streams_are_open_than_allowed(bench: StreamBench) -> None:
    bench.open(1)
    bench.open(2)
    with pytest.raises(StorageSaturated) as caught:
        bench.open(3)
    assert caught.value.retry_after_s > 0
    bench.streams.close(1)
    bench.open(3)
    assert len(bench.streams) == 2


def test_a_stream_that_is_read_to_its_end_makes_room(bench: StreamBench) -> None:
    bench.open(1, "SELECT 1", ())
    assert bench.streams.next(1) == [True, b'[{"1":1}]']
    assert len(bench.streams) == 0


def test_a_stream_that_nobody_asks_for_is_closed_when_anything_else_happens(bench: StreamBench) -> None:
    bench.open(1)
    bench.now += 6
    bench.open(2)
    bench.streams.next(2)
    bench.now += 6
    bench.streams.next(2)
    assert len(bench.streams) == 1
    with pytest.raises(QueryTimedOut, match="waiting"):
        bench.streams.next(1)


def test_a_stream_that_is_too_old_is_closed_though_it_is_asked_for(bench: StreamBench) -> None:
    bench.open(1, params=(1_000_000,))
    for _ in range(20):
        bench.now += 5
        bench.streams.next(1)
    bench.now += 5
    with pytest.raises(ReadTooOld, match="held one state for 100 s"):
        bench.streams.next(1)
    assert len(bench.streams) == 0


def test_any_read_of_a_worker_closes_its_idle_streams(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "s.db"), stream_idle_s=1e-9)
    reading.call("stream_open", 1, reading.path, 0, NUMBERS, [10], "json")
    assert len(reading.service._streams) == 1
    reading.rows("SELECT 1")
    assert len(reading.service._streams) == 0
    reading.service.close()


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nonsense", SqlError),
        ("DELETE FROM t", NotReadOnly),
        ("SELECT json_extract('{', '$')", SqlError),
        ("SELECT zeroblob(1000000000)", ResultTooLarge),
    ],
)
def test_a_stream_that_can_not_begin_takes_no_place_and_no_connection(
    bench: StreamBench, sql: str, error: type[Exception]
) -> None:
    before = len(apsw.connections())
    with pytest.raises(error):
        bench.open(1, sql, ())
    assert len(bench.streams) == 0
    assert len(apsw.connections()) == before


def test_an_interrupt_of_another_call_does_not_end_a_stream_that_waits_to_be_asked(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "s.db"), stream_chunk_bytes=1_024)
    service = reading.service
    reading.call("stream_open", 1, reading.path, 0, NUMBERS, [1_000], "ndjson")
    pieces = [reading.call("stream_next", 1)[1]]
    service._methods["sweep"] = lambda _: service.interrupt()  # as when a caller leaves just then
    reading.call("sweep")

    is_last = False
    while not is_last:
        is_last, piece = reading.call("stream_next", 1)
        pieces.append(piece)

    assert b"".join(pieces).count(b"\n") == 1_000
    service.close()


def test_a_stream_that_fails_on_its_way_is_closed(bench: StreamBench) -> None:
    sql = f"SELECT abs(iif(i < 400, i, -9223372036854775808)) AS a FROM ({NUMBERS})"  # noqa: S608
    bench.open(1, sql)
    assert bench.streams.next(1)[0] is False
    with pytest.raises(SqlError, match="overflow"):
        list(iter(lambda: bench.streams.next(1)[0], True))
    assert len(bench.streams) == 0


def test_closing_a_stream_twice_or_one_that_never_was_does_nothing(bench: StreamBench) -> None:
    bench.open(1)
    for _ in range(2):
        bench.streams.close(1)
    bench.streams.close(99)
    assert len(bench.streams) == 0


def test_a_piece_ends_at_its_deadline(tmp_path: Path) -> None:
    reading = Reading(make_database(tmp_path / "s.db"), worker_kind="inline")
    sql = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
    with pytest.raises(QueryTimedOut):
        reading.call("stream_open", 1, reading.path, 0, sql, [], "json", deadline=time.monotonic() + 0.05)
    assert reading.rows("SELECT 1") == [(1,)]
    reading.service.close()


def test_a_stream_leaves_no_snapshot_behind(bench: StreamBench) -> None:
    """The write-ahead log can be cut once the stream is closed, and not before."""
    bench.open(1, f"SELECT * FROM t, ({NUMBERS})")  # noqa: S608
    bench.streams.next(1)
    other = apsw.Connection(bench.path)
    other.execute("INSERT INTO t VALUES(2)")
    with pytest.raises(apsw.BusyError):
        other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    bench.streams.close(1)
    other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    other.close()
