"""Streams of rows taken in piece by piece: whatever is in them, and wherever they are cut."""

from __future__ import annotations

import csv
import errno
import io
import json
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typing_extensions import override

import storage
from dataserver.imports import streaming
from dataserver.imports.cutting import Cutter
from dataserver.imports.pieces import Target
from dataserver.imports.streaming import Outcome, stream_in
from dataserver.refusals import BadImportLine, ImportBrokenOff, InvalidBody, UnknownColumn
from storage import StorageFull, StorageSaturated, StorageSettings, TransactionLost
from tests.support.loops import one_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from pathlib import Path

    from storage import Database

open_database = storage.open  # loaded here, and not on the event loop
LIMIT_S = 20
COLUMNS = {"id": False, "name": True, "n": False, "data": False}


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "d.db", StorageSettings(kind="thread", worker_count=1)) as opened:
        await opened.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT DEFAULT 'none', n INTEGER CHECK (n >= 0), data)"
        )
        yield opened


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PIECE_BYTES", 200)


class Import:
    """Imports into `t`, each from a list of chunks."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self.seen: list[int] = []
        """How many rows were stored after each piece of the last import."""

    async def __call__(self, chunks: Sequence[bytes | Exception], **how: Any) -> Outcome:
        async def came() -> AsyncGenerator[bytes]:
            for chunk in chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk

        target = Target(**{"table": "t", "columns": COLUMNS, "format": "ndjson", **how})
        self.seen = []
        last = Outcome()
        with anyio.fail_after(LIMIT_S):
            async with aclosing(came()) as chunk:
                async for last in stream_in(self._db, chunk, target, self._folder, timeout_s=None):
                    self.seen.append(last.row_count)
        assert last.is_done
        return last

    async def rows(self, columns: str = "id, name, n, data") -> list[tuple[Any, ...]]:
        return await self._db.query(f"SELECT {columns} FROM t ORDER BY id")  # noqa: S608 - our own columns


@pytest.fixture
def take(db: Database, tmp_path: Path) -> Import:
    return Import(db, tmp_path)


def ndjson(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def cut(content: bytes, *places: int) -> list[bytes]:
    ends = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[start:end] for start, end in pairwise(ends)]


MANY = [{"id": number, "name": f"name {number}", "n": number * 2} for number in range(1, 101)]


@pytest.mark.parametrize("bad", ["stop", "skip"])
@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_rows_of_many_pieces_are_stored_in_their_order(take: Import, bad: str, end: bytes) -> None:
    content = ndjson(*MANY).rstrip(b"\n") + end
    outcome = await take(cut(content, 7, 333, 334), stop_at_bad=bad == "stop")
    assert outcome == Outcome(row_count=100, line_count=100, size_bytes=len(content), is_done=True)
    assert await take.rows("id, name, n") == [tuple(row.values()) for row in MANY]
    assert len(take.seen) > 10
    assert take.seen == sorted(take.seen)


@one_loop
async def test_every_json_value_is_stored_as_the_importer_of_files_stores_it(take: Import) -> None:
    values = [None, True, 1.5, "text", 2**63 - 1, 2**70, [1, {"a": None}], {"a": [1]}, {"$base64": "AP8="}]
    await take([ndjson(*({"id": place, "data": value} for place, value in enumerate(values)))])
    found = [data for (data,) in await take.rows("data")]
    assert found == [None, 1, 1.5, "text", 2**63 - 1, str(2**70), '[1,{"a":null}]', '{"a":[1]}', b"\x00\xff"]


@one_loop
async def test_columns_that_a_line_lacks_get_their_defaults(take: Import) -> None:
    await take([ndjson({"id": 1}, {"id": 2, "n": 3}, {}, {"name": None, "id": 9})])
    assert await take.rows("id, name, n") == [
        (1, "none", None),
        (2, "none", 3),
        (3, "none", None),
        (9, None, None),
    ]


BAD = [
    (b"[1]", "not a JSON object"),
    (b'{"id": 50', "not a JSON object"),
    (b'{"id": 50} {"id": 51}', "not a JSON object"),
    (b'{"id": 50, "nme": 1}', "the table has no column 'nme'"),
    (b'{"id": 50, "n": -1}', "CHECK constraint failed"),
    (b'{"id": 1}', "UNIQUE constraint failed"),
    (b'{"id": "x"}', "datatype mismatch"),
    (b'{"id": 50, "data": {"$base64": "?"}}', "no base64 text"),
    (b'{"id": 50, "data": {"$base64": 3}}', "no base64 text"),
    (b'{"id": 50, "name": "\xff"}', "not a JSON object"),
]


@one_loop
@pytest.mark.parametrize(("line", "reason"), BAD, ids=[str(line) for line, _ in BAD])
async def test_a_bad_line_is_named_and_costs_itself_or_all(take: Import, line: bytes, reason: str) -> None:
    before, after = ndjson(*MANY[:20]), ndjson(*MANY[20:40])
    with pytest.raises(BadImportLine, match=r"^line 21: ") as caught:
        await take([before + line + b"\n" + after])
    assert reason in str(caught.value)
    assert caught.value.details == {"line": 21}
    assert await take.rows() == []

    outcome = await take([before + line + b"\n" + after], stop_at_bad=False)
    assert (outcome.row_count, outcome.bad_count, outcome.line_count) == (40, 1, 41)
    ((number, told),) = outcome.errors
    assert (number, reason in told) == (21, True)
    assert len(await take.rows()) == 40


@one_loop
async def test_no_more_errors_are_told_than_allowed_and_all_are_counted(take: Import) -> None:
    outcome = await take([ndjson(*({"id": 1} for _ in range(60)))], stop_at_bad=False, max_errors_count=10)
    assert (outcome.row_count, outcome.bad_count) == (1, 59)
    assert [line for line, _ in outcome.errors] == list(range(2, 12))


@one_loop
async def test_blank_lines_are_passed_over(take: Import) -> None:
    outcome = await take([b"\n \r\n" + ndjson(MANY[0]) + b"\n\n" + ndjson(MANY[1]) + b"\n\n"])
    assert (outcome.row_count, outcome.line_count) == (2, 8)


@one_loop
async def test_nothing_is_nothing(take: Import) -> None:
    assert await take([]) == Outcome(is_done=True)


# -- CSV ---------------------------------------------------------------------------------------------------------------


def as_csv(rows: Sequence[Sequence[Any]], line_end: str = "\n", delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator=line_end, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


@one_loop
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_csv_is_stored_with_nothing_as_null_but_in_columns_of_text(take: Import, line_end: str) -> None:
    rows = [["n", "id", "name", "data"], ["5", "1", "Ann", "x"], ["", "2", "", ""], ["007", "3", "a;b", "1"]]
    outcome = await take([b"\xef\xbb\xbf" + as_csv(rows, line_end, ";")], format="csv", delimiter=";")
    assert await take.rows() == [(1, "Ann", 5, "x"), (2, "", None, None), (3, "a;b", 7, "1")]
    assert (outcome.row_count, outcome.line_count) == (3, 4)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=30) | st.just('"\n,')


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(CELLS, max_size=40),
    places=st.lists(st.integers(0, 5_000), max_size=6),
    skips=st.booleans(),
)
@one_loop
async def test_a_csv_may_be_cut_anywhere(
    db: Database, take: Import, names: list[str], places: list[int], skips: bool
) -> None:
    await db.execute("DELETE FROM t")
    content = as_csv([["id", "name"], *enumerate(names)])
    outcome = await take(cut(content, *places), format="csv", stop_at_bad=not skips)
    assert [name for (name,) in await take.rows("name")] == names
    assert (outcome.bad_count, outcome.size_bytes) == (0, len(content))
    assert outcome.line_count == content.count(b"\n")


@one_loop
async def test_a_quote_that_nobody_closes_costs_one_line(
    take: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MAX_RECORD_BYTES", 1_000)
    content = as_csv([["id", "name"], *([number, f"name {number}"] for number in range(200))])
    slip = content.replace(b"20,name 20\n", b'20,"name 20\n')
    outcome = await take(cut(slip, *range(0, 3_000, 100)), format="csv", stop_at_bad=False)
    assert (outcome.row_count, outcome.bad_count) == (199, 1)
    assert outcome.errors[0][0] == 22
    assert [number for (number,) in await take.rows("id")] == [n for n in range(200) if n != 20]


@one_loop
@pytest.mark.parametrize(
    ("header", "error"),
    [(b"id,nme\n", UnknownColumn), (b"id,id\n", UnknownColumn), (b'"id\n', BadImportLine), (b"\xff\n", BadImportLine), (b"", BadImportLine)],
)  # fmt: skip
async def test_a_header_that_does_not_fit_is_refused(
    take: Import, header: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await take([header + b"1,2\n" if header else b""], format="csv", stop_at_bad=False)
    assert await take.rows() == []


@one_loop
async def test_a_line_without_an_end_is_refused_at_its_bound(
    take: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MAX_RECORD_BYTES", 1_000)
    with pytest.raises(BadImportLine, match="line 1 is longer than 1000 bytes"):
        await take([b'{"name": "' + b"x" * 300] * 10)


# -- what fails in the middle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["stop", "skip"])
async def test_a_stream_that_breaks_off_is_undone_or_told_how_far_it_came(take: Import, bad: str) -> None:
    chunks: list[bytes | Exception] = [*cut(ndjson(*MANY), 2_000), InvalidBody("the body ended early")]
    if bad == "stop":
        with pytest.raises(InvalidBody):
            await take(chunks)
        assert await take.rows() == []
        return
    with pytest.raises(ImportBrokenOff) as caught:
        await take(chunks, stop_at_bad=False)
    told = caught.value.details
    assert told == {"rows": told["rows"], "lines": told["rows"]}
    assert len(await take.rows()) == told["rows"] > 0


@one_loop
async def test_a_trigger_that_ends_the_transaction_undoes_all_and_says_so(db: Database, take: Import) -> None:
    await db.execute(
        "CREATE TRIGGER g BEFORE INSERT ON t WHEN new.id = 50 BEGIN SELECT RAISE(ROLLBACK, 'no 50'); END"
    )
    with pytest.raises(TransactionLost):
        await take([ndjson(*MANY)])
    assert await take.rows() == []
    with pytest.raises(ImportBrokenOff):
        await take([ndjson(*MANY)], stop_at_bad=False)
    kept = await take.rows("id")
    assert kept == [(number,) for number in range(1, len(kept) + 1)]
    assert 0 < len(kept) < 50


async def test_others_write_between_the_pieces_but_not_into_a_whole(db: Database, tmp_path: Path) -> None:
    held = anyio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield ndjson(*MANY[:50])
        held.set()
        await anyio.lowlevel.checkpoint()
        yield ndjson(*MANY[50:])

    target = Target(table="t", columns=COLUMNS, format="ndjson", stop_at_bad=True)
    with anyio.fail_after(LIMIT_S):
        async for outcome in stream_in(db, slowly(), target, tmp_path, timeout_s=None):
            if not outcome.is_done:
                assert await db.query("SELECT count(*) FROM t") == [(0,)]
    assert held.is_set()
    assert await db.query("SELECT count(*) FROM t") == [(100,)]


@pytest.mark.parametrize(("refusals_count", "is_stored"), [(5, True), (6, False)])
async def test_a_piece_for_which_there_is_no_place_is_sent_again_a_few_times(
    db: Database, tmp_path: Path, refusals_count: int, is_stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = db.write, refusals_count

    async def full(*args: Any, **how: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise StorageSaturated("the queue is full", retry_after_s=0.0)
        return await write(*args, **how)

    monkeypatch.setattr(db, "write", full)
    monkeypatch.setattr(streaming, "_LEAST_PAUSE_S", 0.0)
    take = Import(db, tmp_path)
    if is_stored:
        assert (await take([ndjson(MANY[0])], stop_at_bad=False)).row_count == 1
    else:
        with pytest.raises(StorageSaturated):
            await take([ndjson(MANY[0])], stop_at_bad=False)
    assert len(await take.rows()) == is_stored


@one_loop
async def test_an_import_that_does_not_fit_beside_the_databases_is_refused(
    take: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        @override
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda **_: Full())
    with pytest.raises(StorageFull):
        await take([ndjson(*MANY)])


@given(st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"x", b"\n"))), st.integers(1, 50))
@example([b"0" * 40, b"0" * 40, b"0000\n"], 1)  # a long line is looked through again when it has doubled
def test_what_is_cut_is_what_came(chunks: list[bytes], size: int) -> None:
    cutter, pieces = Cutter(size), []
    for chunk in chunks:
        cutter.push(chunk)
        while (piece := cutter.piece()) is not None:
            assert piece.endswith(b"\n")
            pieces.append(piece)
            cutter.done(len(piece))
    assert b"".join(pieces) + cutter.rest() == b"".join(chunks)
    longest = max(map(len, b"".join(chunks).split(b"\n")))
    assert b"\n" not in cutter.rest() or cutter.waiting_bytes < max(size, 2 * longest)
