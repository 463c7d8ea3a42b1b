"""Records, their lines and their places, out of JSON lines and CSV that are good, bad or cut anywhere."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.imports import csv_rows, lines
from dataserver.imports.column_names import distinct, quoted
from dataserver.imports.csv_rows import read_csv_rows
from dataserver.imports.json_rows import read_json_rows
from dataserver.imports.lines import read_lines
from dataserver.imports.records import BadRecord, Position, Record, UnreadableFile

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)


def read_json(content: bytes, start: Position = Position()) -> list[Record | BadRecord]:  # noqa: B008 - frozen
    return list(read_json_rows(io.BytesIO(content), start))


def read_csv(content: bytes, start: Position = Position(), delimiter: str = ",") -> list[Record | BadRecord]:  # noqa: B008
    return list(read_csv_rows(io.BytesIO(content), start, delimiter=delimiter))


def brief(records: list[Record | BadRecord]) -> list[object]:
    """Return each record's values, and a bad one's line number."""
    return [dict(each.values) if isinstance(each, Record) else each.line_number for each in records]


def as_csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def test_json_lines_come_with_their_numbers_and_blank_ones_are_passed_over() -> None:
    records = read_json(
        b'\xef\xbb\xbf{"a":1}\n\n  \r\n{"a":"\\u0000"}\r\n{"b":123456789012345678901234567890}'
    )
    assert brief(records) == [{"a": 1}, {"a": "\0"}, {"b": 123456789012345678901234567890}]
    assert [record.line_number for record in records] == [1, 4, 5]


@pytest.mark.parametrize(
    "line",
    [b"[1]", b"{", b'{"a":1}x', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\xff"}', b'"x"', b'{"a":"\\ud800"}'],
)
def test_one_bad_json_line_costs_that_line_alone(line: bytes) -> None:
    assert brief(read_json(b'{"a":1}\n' + line + b'\n{"a":2}\n')) == [{"a": 1}, 2, {"a": 2}]


def test_csv_fields_may_hold_quotes_delimiters_and_line_ends() -> None:
    records = read_csv(b'\xef\xbb\xbfa,b\r\n1,"x,\n""y"""\r\n\r\n2,\xe6\x97\xa5\n')
    assert brief(records) == [{"a": "1", "b": 'x,\n"y"'}, {"a": "2", "b": "\u65e5"}]
    assert [record.line_number for record in records] == [2, 5]


@pytest.mark.parametrize("line", [b"1", b"1,2,3", b'1,"x"y', b"1,\xff", b'1,"never closed'])
def test_one_bad_csv_line_costs_that_line_alone(line: bytes) -> None:
    assert brief(read_csv(b"a,b\n1,2\n" + line + b"\n3,4\n5,6\n")) == [
        {"a": "1", "b": "2"},
        3,
        {"a": "3", "b": "4"},
        {"a": "5", "b": "6"},
    ]


def test_csv_without_a_header_cannot_be_read() -> None:
    for content in (b"", b"\n", b'"a\n'):
        with pytest.raises(UnreadableFile, match="header"):
            read_csv(content)


def test_another_delimiter_is_taken() -> None:
    assert brief(read_csv(b"a\tb\n1\t2,3\n", delimiter="\t")) == [{"a": "1", "b": "2,3"}]


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=6), st.data())
def test_csv_read_on_from_any_record_gives_the_rest(rows: list[list[str]], data: st.DataObject) -> None:
    content = as_csv([["a", "b"], *rows])
    records = read_csv(content)
    assert [list(record.values.values()) for record in records if isinstance(record, Record)] == rows
    if records:
        index = data.draw(st.integers(0, len(records) - 1))
        assert read_csv(content, records[index].after) == records[index + 1 :]


@given(st.lists(st.one_of(st.dictionaries(TEXTS, TEXTS, max_size=3), st.just(None)), max_size=6), st.data())
def test_json_read_on_from_any_record_gives_the_rest(
    rows: list[dict[str, str] | None], data: st.DataObject
) -> None:
    content = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    records = read_json(content)
    assert brief(records) == [number if row is None else row for number, row in enumerate(rows, start=1)]
    if records:
        index = data.draw(st.integers(0, len(records) - 1))
        assert read_json(content, records[index].after) == records[index + 1 :]


@given(st.binary(max_size=200))
def test_any_bytes_at_all_give_records_or_complaints(content: bytes) -> None:
    assert [record.line_number for record in read_json(content)] == sorted(
        {record.line_number for record in read_json(content)}
    )
    records = read_csv(b"a,b\n" + content)
    assert all(record.after.offset <= len(content) + 4 for record in records)


def test_a_line_past_the_bound_is_passed_over_without_being_held() -> None:
    content = b"short\n" + b"x" * 1_000 + b"\nafter\n" + b"y" * 11
    found = list(read_lines(io.BytesIO(content), max_bytes=10))
    assert [(line.content, line.number, line.is_too_long) for line in found] == [
        (b"short\n", 1, False),
        (b"x" * 10, 2, True),
        (b"after\n", 3, False),
        (b"y" * 10, 4, True),
    ]
    assert found[-1].after == Position(len(content), 4)


def test_a_quote_that_nobody_closes_does_not_swallow_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_RECORD_BYTES", 100)
    monkeypatch.setattr(lines, "MAX_RECORD_BYTES", 100)
    content = b'a,b\n1,"oops\n' + b"2,3\n" * 100
    records = read_csv(content)
    assert brief(records)[:2] == [2, {"a": "2", "b": "3"}]
    assert len(records) == 101


def test_names_of_columns_are_distinct_even_to_sqlite() -> None:
    assert distinct(["id", "ID", "", "id", "\u00c4", "\u00e4", " x ", "a\0b"]) == [
        "id",
        "ID_2",
        "column_3",
        "id_3",
        "\u00c4",
        "\u00e4",
        "x",
        "ab",
    ]
    assert distinct(["a_2", "a", "A"]) == ["a_2", "a", "A_3"]
    assert quoted('a"b') == '"a""b"'


@given(st.lists(st.text(max_size=4), max_size=8))
def test_whatever_the_fields_are_called_no_two_columns_are_alike(fields: list[str]) -> None:
    names = distinct(fields)
    lowered = ["".join(c.lower() if c.isascii() else c for c in name) for name in names]
    assert len(set(lowered)) == len(fields)
    assert all(names)
