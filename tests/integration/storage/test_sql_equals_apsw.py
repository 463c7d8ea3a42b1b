"""Whatever is asked, in whatever way: the answer is the one of plain apsw."""

# ruff: noqa: S608 - statements are what is made here
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sqllogic.folder import all_ways, run_file
from tests.sqllogic.records import BadRecord, Record, records, sampled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sqllogic.ways import Ways

CORPUS = Path(__file__).parents[2] / "sqllogic" / "corpus"
FILES = sorted(path.name for path in CORPUS.glob("*.test"))
LIMIT_S = 50
only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"], scope="module")


def literal(value: Any) -> str:
    """Return `value` as SQL; a bytearray is a text of these bytes, be they UTF-8 or not."""
    if value is None:
        return "NULL"
    if isinstance(value, bytearray):
        return f"CAST(x'{value.hex()}' AS TEXT)"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return "CAST(x'" + value.encode().hex() + "' AS TEXT)"
    if isinstance(value, float):
        return {"inf": "9e999", "-inf": "-9e999", "nan": "9e999 - 9e999"}.get(repr(value), repr(value))
    return repr(value) if value > -(2**63) else f"({-(2**63) + 1} - 1)"


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1]),
    st.floats() | st.sampled_from([-0.0, float("inf"), float("nan"), 1e22]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["", "a\0b", "[1]", "9.0e+999"]),
    st.binary(max_size=12) | st.sampled_from([b"", b"\x00", b"\x13\x31", b"\x0b"]),
    st.binary(max_size=6).map(bytearray),
).map(literal)
COLUMNS = st.sampled_from(["a", "b", "c", "id"])
NAMES = st.sampled_from(["a", "a_2", "A", "it's", 'say "x"', "é", "$base64", ""]).map(
    lambda name: '"' + name.replace('"', '""') + '"'
)
EXPRESSIONS = st.recursive(
    COLUMNS | VALUES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["||", "+", "*", "=", "<", "IS", "AND", "->>"]), inner).map(" ".join).map("({})".format),
        st.tuples(st.sampled_from(["typeof", "hex", "abs", "length", "quote", "-", "NOT ", "lower", "json_quote"]), inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"CASE WHEN {pair[0]} THEN {pair[1]} ELSE c END"),
    ),
    max_leaves=4,
)  # fmt: skip
LISTS = st.lists(st.tuples(EXPRESSIONS, NAMES).map(" AS ".join), min_size=1, max_size=4).map(", ".join)
ROWS = st.tuples(VALUES, VALUES, VALUES).map(", ".join)
SELECTS = st.tuples(
    LISTS,
    st.sampled_from(["t", "t AS x", "s", "(SELECT * FROM t LIMIT 2)", "v"]),
    EXPRESSIONS,
    st.integers(0, 4),
).map(lambda parts: "SELECT {} FROM {} WHERE {} ORDER BY id LIMIT {}".format(*parts))
STATEMENTS = st.one_of(
    SELECTS,
    st.tuples(LISTS, LISTS).map(lambda pair: f"SELECT {pair[0]} FROM t UNION ALL SELECT {pair[1]} FROM s"),
    st.sampled_from(
        ["SELECT * FROM t", "SELECT t.*, s.* FROM t, s", "SELECT * FROM v WHERE 0", "PRAGMA table_info(t)", "SELECT count(*) FROM s"]
    ),
    ROWS.map(lambda row: f"VALUES ({row}), (1, 2, 3)"),
    st.tuples(ROWS, LISTS).map(lambda pair: f"INSERT INTO t(a, b, c) VALUES ({pair[0]}) RETURNING {pair[1]}"),
    st.tuples(EXPRESSIONS, EXPRESSIONS, LISTS).map(
        lambda parts: "UPDATE s SET i = {} WHERE {} RETURNING id, t".format(*parts)
    ),
    EXPRESSIONS.map(lambda expression: f"DELETE FROM t WHERE {expression}"),
)  # fmt: skip


@pytest.fixture(scope="module")
async def ways(
    anyio_backend: Any,  # noqa: ARG001 - the application is one of asyncio
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Ways]:
    async with all_ways(tmp_path_factory.mktemp("ways")) as opened:
        for sql in (
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)",
            "CREATE TABLE s (id INTEGER PRIMARY KEY, t AS (typeof(i)), i ANY, a TEXT DEFAULT 'x', b INT, c REAL) STRICT",
            "CREATE VIEW v AS SELECT id, a, b, c FROM t UNION ALL SELECT id, i, b, c FROM s",
        ):
            await opened.run(sql)
        yield opened


@only_asyncio
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=4), statements=st.lists(STATEMENTS, min_size=1, max_size=6))
async def test_generated_statements_are_answered_as_plain_apsw_answers_them(
    ways: Ways, rows: list[str], statements: list[str]
) -> None:
    with anyio.fail_after(LIMIT_S):
        for table in ("t", "s"):
            await ways.run(f"DELETE FROM {table}")
        for number, row in enumerate(rows):
            await ways.run(f"INSERT INTO t VALUES ({number}, {row})")
            await ways.run(f"INSERT INTO s(id, i) VALUES ({number}, {row.split(',')[0]})")
        for sql in statements:
            await ways.run(sql)
    found, ways.tally.differences = ways.tally.differences, []
    assert found == []


@only_asyncio
async def test_most_generated_statements_are_answered(ways: Ways) -> None:
    assert ways.tally.answered_count > ways.tally.failed_count / 2


@only_asyncio
@pytest.mark.parametrize("name", FILES)
async def test_a_file_of_statements_is_answered_as_plain_apsw_answers_it(name: str, tmp_path: Path) -> None:
    with anyio.fail_after(LIMIT_S):
        tally = await run_file(CORPUS / name, tmp_path)
    assert tally.differences == []
    assert tally.answered_count > 10
    assert tally.failed_count > 1


@only_asyncio
async def test_ways_that_differ_are_found_out(tmp_path: Path) -> None:
    async with all_ways(tmp_path) as ways:
        await ways.run("CREATE TABLE t (a)")
        await ways._db.execute("INSERT INTO t VALUES (1.0)")
        ways._plain.execute("INSERT INTO t VALUES (1)")
        await ways.run("SELECT a FROM t", "here")
        await ways.run("SELECT a FROM t WHERE typeof(a) = 'real'", "there")
    assert [difference.partition(":")[0] for difference in ways.tally.differences] == ["here"] * 5 + [
        "there"
    ] * 5


@only_asyncio
async def test_where_a_statement_says_no_order_another_one_is_no_difference(tmp_path: Path) -> None:
    async with all_ways(tmp_path) as ways:
        await ways.run("CREATE TABLE t (a, b)")
        await ways._db.execute("INSERT INTO t VALUES (1, 2), (2, 1)")
        ways._plain.execute("INSERT INTO t VALUES (2, 1), (1, 2)")
        await ways.run("SELECT a, b FROM t", is_ordered=False)
        assert (ways.tally.differences, ways.tally.reordered_count) == ([], 5)
        await ways.run("SELECT min(a, b) FROM t UNION ALL SELECT a FROM t LIMIT 3", is_ordered=False)
        assert len(ways.tally.differences) == 5
        await ways.run("SELECT a, b FROM t")
    assert len(ways.tally.differences) == 10


def test_the_command_runs_a_folder_says_what_it_found_and_what_was_done_is_not_done_again(
    tmp_path: Path,
) -> None:
    for name in ("sub/1", "sub/2", "other/1"):
        file = tmp_path / f"{name}.test"
        file.parent.mkdir(exist_ok=True)
        file.write_text("query I nosort\nSELECT 1\n----\n1\n\nquery I nosort\nSELECT 2\n")
    done = tmp_path / "done"
    done.write_text(f"{tmp_path}/other/1.test\n")
    command = [
        sys.executable,
        "-m",
        "tests.sqllogic",
        str(tmp_path),
        "--max-queries",
        "1",
        "--resume",
        str(done),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)  # noqa: S603
    assert ran.stdout == "".join(
        f"{tmp_path}/sub/{name}.test: 1 answered alike, 0 failed alike, 0 refused, 0 differ\n"
        for name in (1, 2)
    )
    assert done.read_text().splitlines() == [
        f"{tmp_path}/{name}.test" for name in ("other/1", "sub/1", "sub/2")
    ]


def test_a_sample_has_all_statements_and_queries_from_the_whole_file() -> None:
    file = [Record(line, "", is_query=line % 10 != 0) for line in range(100)]
    taken = list(sampled(file, 9))
    assert [record.line for record in taken if not record.is_query] == list(range(0, 100, 10))
    assert [record.line for record in taken if record.is_query] == [11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert list(sampled(file, 0)) == list(sampled(file, 1_000)) == file


def test_records_are_read_as_the_format_says() -> None:
    text = (
        "# comment\nhash-threshold 8\n\nskipif mysql # not there\nstatement ok\nSELECT 1,\n  2\n\n"
        "onlyif sqlite\nskipif sqlite\nstatement ok\nSELECT 3\n\nquery I rowsort label\n# comment\nSELECT 4\n----\n4\n\nhalt\n\nnonsense\n"
    )
    assert list(records(text)) == [
        Record(5, "SELECT 1,\n  2"),
        Record(14, "SELECT 4", is_query=True, is_ordered=False),
    ]
    for bad in ("nonsense\n", "statement ok\n", "query I\n----\n1\n"):
        with pytest.raises(BadRecord):
            list(records(bad))
