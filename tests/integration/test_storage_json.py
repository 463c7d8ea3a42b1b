"""SQLite's JSON against Python's own view of the same values, and against the encoder that stands in for it."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.sqlite.json_results import JsonRules
from storage.sqlite.row_encoding import row_encoder
from tests.support.reading import Reading, make_database

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDS = [0, 1, -1, 2**53 - 1, 2**53, -(2**53), 2**63 - 1, -(2**63), -(2**63) + 1]
TEXTS = [
    "",
    "\0",
    "a\0b",
    '"',
    "\\",
    "\u2028",
    "\x7f",
    "\x1f",
    "'",
    "9.0e+999",
    "é",
    "𝄞",
    "[1]",
    "null",
    "\ufeff",
]
BLOBS = [b"", b"\x00", b"\x13\x31", b"\x0b", b"\x1a", b"abc", b"\xff\xfe", bytes(range(256))]
DOUBLES = [
    0.0,
    -0.0,
    0.1,
    1e22,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    1e15,
    123456789.125,
]

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1) | st.sampled_from(ENDS),
    st.floats() | st.sampled_from(DOUBLES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(TEXTS),
    st.binary(max_size=40) | st.sampled_from(BLOBS),
)
NAMES = st.sampled_from(["a", "b", "a_2", "A", "it's", 'say "x"', "é", "$base64", ""])

many = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def seen(value: Any) -> Any:
    """Return `value` as JSON should tell it."""
    if isinstance(value, bytes):
        return {"$base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def literal(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    path = make_database(
        tmp_path_factory.mktemp("json") / "j.db",
        """
        CREATE TABLE loose(a, b, c);
        CREATE TABLE typed(id INTEGER PRIMARY KEY, t TEXT, r REAL, i INT, x ANY) STRICT;
        CREATE TABLE other(id INTEGER PRIMARY KEY DESC, v);
        CREATE VIEW mixed AS SELECT id AS v FROM typed UNION ALL SELECT a FROM loose;
        """,
    )
    opened = Reading(path)
    yield opened
    opened.service.close()


@pytest.fixture
def writer(reading: Reading) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(reading.path)
    yield connection
    for table in ("loose", "typed", "other"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
    connection.close()


@many
@given(st.lists(VALUES, min_size=1, max_size=8))
def test_every_value_given_as_a_parameter_is_told_as_python_sees_it(
    reading: Reading, values: list[Any]
) -> None:
    columns = ", ".join(f"?{number} AS c{number}" for number in range(1, len(values) + 1))
    assert reading.json(f"SELECT {columns}", values, shape="arrays") == [list(map(seen, values))]
    expected = {f"c{number}": seen(value) for number, value in enumerate(values, 1)}
    assert reading.json(f"SELECT {columns}", values) == [expected]


@many
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=20))
def test_every_stored_value_is_told_as_python_sees_it_and_in_order(
    reading: Reading, writer: apsw.Connection, rows: list[tuple[Any, Any, Any]]
) -> None:
    writer.execute("DELETE FROM loose")
    writer.executemany("INSERT INTO loose VALUES(?, ?, ?)", rows)
    stored = writer.execute("SELECT a, b, c FROM loose ORDER BY rowid").fetchall()
    found = reading.json("SELECT a, b, c FROM loose ORDER BY rowid", shape="arrays")
    assert found == [list(map(seen, row)) for row in stored]
    assert reading.rows("SELECT a, b, c FROM loose ORDER BY rowid") == stored


@many
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_doubles_come_back_as_the_same_doubles(reading: Reading, values: list[float]) -> None:
    columns = ", ".join(["?"] * len(values))
    (found,) = reading.json(f"SELECT {columns}", values, shape="arrays")
    assert [float(each).hex() for each in found] == [(value or 0.0).hex() for value in values]


@many
@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8), st.booleans())
def test_the_encoder_that_stands_in_for_sqlite_writes_the_same_bytes(
    reading: Reading, row: list[tuple[str, Any]], strings: bool
) -> None:
    names, values = [name for name, _ in row], [value for _, value in row]
    sql = "SELECT " + ", ".join(f"? AS {literal(name)}" for name in names)
    rules = JsonRules(big_integers_as_strings=strings)
    quoting = apsw.Connection(":memory:")

    def real(value: float) -> str:
        text: str = quoting.execute("SELECT json_quote(?)", (value,)).get
        return text

    stored = [
        None if isinstance(value, float) and math.isnan(value) else value for value in values
    ]  # NaN is NULL to SQLite
    other = Reading(reading.path, json_big_integers="string" if strings else "number")
    try:
        for shape in ("objects", "arrays"):
            encoded = row_encoder(names, shape, rules, real)(stored)
            assert other.json_bytes(sql, values, shape=shape) == b"[" + encoded + b"]"
        pieces = other.stream(sql, values, "csv")
        assert (
            b"".join(pieces).split(b"\r\n", 1)[1] == row_encoder(names, "csv", rules, real)(stored) + b"\r\n"
        )
        assert (
            b"".join(other.stream(sql, values, "ndjson"))
            == row_encoder(names, "objects", rules, real)(stored) + b"\n"
        )
        assert b"".join(other.stream(sql, values)) == other.json_bytes(sql, values)
    finally:
        other.service.close()


# -- the same query in other clothes ----------------------------------------------------------------------------------

COLUMNS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True)
QUERIES = st.sampled_from(
    [
        "SELECT {columns} FROM loose ORDER BY {total}",
        "SELECT {columns}, a IS NULL FROM loose ORDER BY {total}",
        "SELECT {columns} FROM loose WHERE a IS NOT NULL ORDER BY {total} LIMIT 7 OFFSET 1",
        "SELECT {columns} FROM (SELECT * FROM loose ORDER BY {total})",
        "SELECT DISTINCT {columns} FROM loose ORDER BY {chosen}",
        "WITH x AS (SELECT * FROM loose) SELECT {columns} FROM x ORDER BY {total}",
        "SELECT {columns} FROM loose UNION ALL SELECT {columns} FROM loose ORDER BY {chosen}",
        "SELECT {columns}, row_number() OVER (ORDER BY {total}) FROM loose ORDER BY {total}",
        "SELECT {columns}, typed.t FROM loose LEFT JOIN typed ON loose.b = typed.id ORDER BY {total}",
        "SELECT {columns}, count(*) FROM loose GROUP BY {columns} ORDER BY {chosen} -- no more;",
    ]
)


@many
@given(
    st.lists(st.tuples(VALUES, st.integers(0, 3), st.sampled_from(["x", "X", "y", None])), max_size=12),
    QUERIES,
    COLUMNS,
    COLUMNS,
    st.sampled_from([" DESC", " COLLATE NOCASE", ""]),
)
def test_the_order_of_the_query_is_kept(  # noqa: PLR0917 - hypothesis gives them by place
    reading: Reading,
    writer: apsw.Connection,
    rows: list[Any],
    query: str,
    columns: list[str],
    order: list[str],
    direction: str,
) -> None:
    writer.execute("DELETE FROM loose")
    writer.execute("INSERT OR IGNORE INTO typed VALUES(1, 'one', 1, 1, 1), (2, 'two', 2, 2, 2)")
    writer.executemany("INSERT INTO loose VALUES(?, ?, ?)", rows)
    sql = query.format(
        columns=", ".join(columns),
        total=", ".join([*(name + direction for name in order), "a", "b", "c"]),
        chosen=", ".join([*(name + direction for name in columns), *columns]),
    )
    stored = list(writer.execute(sql))
    found = reading.json(sql, shape="arrays")
    assert found == [list(map(seen, row)) for row in stored]
    assert json.loads(b"".join(reading.stream(sql))) == reading.json(sql)


PROVING = [
    "SELECT id, t, r, i FROM typed",
    "SELECT rowid, t FROM typed",
    "SELECT id, v FROM other",
    "SELECT typed.id, other.v, typed.t FROM typed LEFT JOIN other USING (id)",
    "SELECT id FROM typed UNION ALL SELECT a FROM loose",
    "SELECT id FROM typed UNION SELECT a FROM loose",
    "SELECT id FROM typed UNION ALL VALUES (x'00')",
    "SELECT * FROM (SELECT id FROM typed UNION ALL SELECT a FROM loose)",
    "WITH z AS (SELECT t FROM typed UNION ALL SELECT a FROM loose) SELECT t FROM z",
    "SELECT v FROM mixed",
    "SELECT * FROM mixed, typed",
    "SELECT x FROM typed",
    "SELECT (SELECT a FROM loose LIMIT 1) AS id, id AS id FROM typed",
    "SELECT id FROM typed WHERE t IN (SELECT a FROM loose UNION SELECT t FROM typed)",
    "SELECT max(v), id FROM other",
    "SELECT count(*), max(id), min(x) FROM typed",
    "SELECT a AS id FROM loose UNION ALL SELECT id FROM typed",
]


@pytest.mark.parametrize("sql", PROVING)
@pytest.mark.parametrize("blob", BLOBS, ids=repr)
def test_no_query_lets_a_blob_pass_as_something_else(
    reading: Reading, writer: apsw.Connection, sql: str, blob: bytes
) -> None:
    writer.execute("INSERT INTO loose VALUES(?1, ?1, ?1)", (blob,))
    writer.execute("INSERT INTO other VALUES(?1, ?1)", (blob,))
    writer.execute("INSERT INTO typed VALUES(1, 't', 1.5, 2, ?1), (2, NULL, NULL, NULL, NULL)", (blob,))
    stored = list(writer.execute(sql))
    assert reading.json(sql, shape="arrays") == [list(map(seen, row)) for row in stored]


@pytest.mark.parametrize(
    "expression",
    [
        "json('[1]')",
        "json_array(1)",
        "'[1]'->'$'",
        "(SELECT json_group_array(1))",
        "max(json('[1]'))",
        "iif(1, json('[1]'), 0)",
        "first_value(json('[1]')) OVER ()",
    ],
)
@pytest.mark.parametrize(
    "around", ["SELECT {} AS v", "SELECT * FROM (SELECT {} AS v)", "SELECT {} AS v ORDER BY 1"]
)
def test_json_made_by_the_query_is_a_text_like_any_other(
    reading: Reading, expression: str, around: str
) -> None:
    sql = around.format(expression)
    assert reading.json(sql) == [{"v": reading.rows(sql)[0][0]}]
    assert b"".join(reading.stream(sql)) == reading.json_bytes(sql)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT value, key, type FROM json_each(\'[[1],{"a":2},"t",3,null]\')',
        "SELECT value AS v FROM json_each('[[1]]') ORDER BY key",
        "SELECT DISTINCT value AS v FROM json_each('[[1]]')",
        "SELECT max(value) AS v FROM json_each('[[1]]')",
        "SELECT * FROM (SELECT value FROM json_each('[[1]]') LIMIT 1) AS x, json_tree('{\"a\":[1]}')",
        "SELECT value FROM json_each('[[1]]') UNION ALL SELECT '[2]'",
        "SELECT value, (SELECT 1) AS one FROM json_each('[[1]]')",
    ],
)
def test_the_elements_of_json_each_are_the_texts_that_rows_have(reading: Reading, sql: str) -> None:
    assert reading.json(sql, shape="arrays") == list(map(list, reading.rows(sql)))
    assert b"".join(reading.stream(sql)) == reading.json_bytes(sql)


@pytest.mark.parametrize(
    "expression",
    [
        "random() % 2",
        "CASE abs(random()) % 2 WHEN 0 THEN x'1331' ELSE 'text' END",
        "iif(random() % 2, 9e999, 1)",
    ],
)
def test_an_expression_is_computed_once(reading: Reading, expression: str) -> None:
    allowed = [0, 1, -1, None, "text", {"$base64": "EzE="}]
    sql = f"SELECT {expression} AS a FROM json_each(?)"  # noqa: S608 - a text of our own
    params = [json.dumps([0] * 300)]
    for table in (
        sql,
        f"SELECT * FROM ({sql})",  # noqa: S608
        sql.replace("json_each(?)", "(SELECT value FROM json_each(?))"),
    ):
        assert all(row["a"] in allowed for row in reading.json(table, params))
        assert all(row["a"] in allowed for row in json.loads(b"".join(reading.stream(table, params))))
        assert all(
            line in {"0", "1", "-1", '"text"', "EzE=", "Infinity", '"a"', "1.0"}
            for line in csv_of(reading, table, params)
        )


def csv_of(reading: Reading, sql: str, params: list[Any]) -> list[str]:
    return b"".join(reading.stream(sql, params, "csv")).decode().split()


# -- the rules, one by one ---------------------------------------------------------------------------------------------


def test_infinity_is_null_beside_a_text_that_looks_like_it(reading: Reading, writer: apsw.Connection) -> None:
    writer.execute("INSERT INTO loose VALUES(9e999, -9e999, '9.0e+999'), (1e300, 'e+999', 1.5)")
    writer.execute("INSERT INTO typed VALUES(1, '9.0e+999', 9e999, 1, -9e999)")
    assert reading.json("SELECT * FROM loose", shape="arrays") == [
        [None, None, "9.0e+999"],
        [1e300, "e+999", 1.5],
    ]
    assert reading.json("SELECT * FROM typed") == [{"id": 1, "t": "9.0e+999", "r": None, "i": 1, "x": None}]


def test_big_integers_keep_all_their_digits(reading: Reading) -> None:
    answer = reading.json_bytes("SELECT 9223372036854775807 AS a, -9223372036854775808 AS b")
    assert answer == b'[{"a":9223372036854775807,"b":-9223372036854775808}]'


def test_big_integers_are_strings_if_so_set(reading: Reading) -> None:
    other = Reading(reading.path, json_big_integers="string")
    try:
        answer = other.json_bytes(
            "SELECT 9007199254740992 AS a, -9007199254740991 AS b, '1' AS c, 9007199254740993.0 AS d"
        )
        assert answer == b'[{"a":"9007199254740992","b":-9007199254740991,"c":"1","d":9007199254740992.0}]'
    finally:
        other.service.close()


def test_columns_of_one_name_are_numbered(reading: Reading) -> None:
    assert reading.json("SELECT 1 AS a, 2 AS a, 3 AS a_2, 4 AS a") == [{"a": 1, "a_3": 2, "a_2": 3, "a_4": 4}]
    answer = reading.json("SELECT 1 AS a, 2 AS a", shape="arrays", envelope=True)
    assert answer == {"columns": ["a", "a_2"], "rows": [[1, 2]]}


def test_no_rows_are_an_empty_array_and_the_columns_are_told(reading: Reading) -> None:
    assert reading.json_bytes("SELECT a, b FROM loose") == b"[]"
    answer = reading.json_bytes("SELECT a, b FROM loose", envelope=True)
    assert answer == b'{"columns":["a","b"],"rows":[]}'


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (b"\xff", "\ufffd"),
        (b"a\xc3", "a\ufffd"),
        (b'\xe2\x82"', '\ufffd"'),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98\x80 ok \x80", "😀 ok \ufffd"),
        (b"\x00\xff\x00", "\x00\ufffd\x00"),
    ],
)
def test_text_that_is_not_utf8_is_mended_alike_everywhere(
    reading: Reading, broken: bytes, mended: str
) -> None:
    sql = "SELECT CAST(? AS TEXT) AS a, x'ff' AS b, 'é' AS c"
    assert broken.decode("utf-8", "replace") == mended
    assert reading.json(sql, [broken]) == [{"a": mended, "b": {"$base64": "/w=="}, "c": "é"}]
    assert reading.rows(sql, [broken]) == [(mended, b"\xff", "é")]
    assert reading.rows(sql, [broken], as_maps=True) == [{"a": mended, "b": b"\xff", "c": "é"}]
    assert json.loads(b"".join(reading.stream(sql, [broken]))) == reading.json(sql, [broken])


@pytest.mark.parametrize("count", [499, 500, 501, 999, 1000, 1001, 2000])
def test_any_number_of_columns_is_told_in_every_form(reading: Reading, count: int) -> None:
    sql = "SELECT " + ", ".join(f"{number} AS c{number}" for number in range(count))
    row = list(range(count))
    assert reading.json(sql, shape="arrays") == [row]
    assert reading.json(sql) == [{f"c{number}": number for number in row}]
    assert reading.rows(sql) == [tuple(row)]
    header, line, end = b"".join(reading.stream(sql, form="csv")).split(b"\r\n")
    assert header.count(b",") == line.count(b",") == count - 1
    assert line == ",".join(map(str, row)).encode()
    assert end == b""
