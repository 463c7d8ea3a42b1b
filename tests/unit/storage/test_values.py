from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pytest
from typing_extensions import override

from storage import ParameterMismatch, RowMismatch
from storage.parameters import bound
from storage.row_values import unpacked, wants_maps
from workers import Body


class Colour(enum.IntEnum):
    RED = 5


class Word(enum.StrEnum):
    HELLO = "hello"


class Loud(str):
    __slots__ = ()

    @override
    def __str__(self) -> str:
        return "LOUD"


class Point(msgspec.Struct):
    x: int
    y: float | None = None


class Flat(msgspec.Struct, array_like=True):
    x: int


@dataclass
class Plain:
    x: int
    is_set: bool = False


class Typed(TypedDict):
    x: int


class Named(NamedTuple):
    x: int
    y: str


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ((), []),
        ((1, "a", None, 1.5, b"b", True), [1, "a", None, 1.5, b"b", True]),
        ([Colour.RED, Word.HELLO, Loud("soft")], [5, "hello", "soft"]),
        (OrderedDict(a=1, b=Word.HELLO), {"a": 1, "b": "hello"}),
        (range(3), [0, 1, 2]),
    ],
)
def test_parameters_become_what_sqlite_stores(params: Any, expected: Any) -> None:
    found = bound(params)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    "params",
    [
        "a text",
        b"bytes",
        [datetime(2026, 11, 23, tzinfo=UTC)],
        [Decimal(1)],
        [UUID(int=1)],
        [[1]],
        [{}],
        {"a": [1]},
        {1: "a"},
        [object()],
    ],
)
def test_what_sqlite_does_not_store_is_refused_before_it_is_sent(params: Any) -> None:
    with pytest.raises(ParameterMismatch):
        bound(params)


def test_parameters_that_change_after_the_call_do_not_change_the_call() -> None:
    mine = [1]
    sent = bound(mine)
    mine.append(2)
    assert sent == [1]


@pytest.mark.parametrize(
    ("into", "by_name"),
    [
        (Point, True),
        (Flat, False),
        (Plain, True),
        (Typed, True),
        (Named, False),
        (dict, True),
        (tuple[int, str], False),
        (list, False),
    ],
)
def test_a_row_is_sent_by_name_where_names_are_needed(into: Any, by_name: bool) -> None:
    assert wants_maps(into) == by_name


@pytest.mark.parametrize(
    ("row", "into", "expected"),
    [
        ([1, "a"], None, (1, "a")),
        ({"x": 1, "y": 2, "z": 3}, Point, Point(1, 2.0)),
        ([1], Flat, Flat(1)),
        ({"x": 1, "is_set": 1}, Plain, Plain(1, is_set=True)),
        ({"x": 1}, Typed, {"x": 1}),
        ([1, "a"], Named, Named(1, "a")),
        ([1, "a"], tuple[int, str], (1, "a")),
        ({"x": 1}, dict, {"x": 1}),
    ],
)
async def test_rows_become_what_was_asked_for(row: Any, into: Any, expected: Any) -> None:
    assert await unpacked(msgspec.msgpack.encode([row, row]), into) == [expected, expected]


async def test_blocks_of_a_body_are_put_together_in_order() -> None:
    blocks = [msgspec.msgpack.encode([[number], [number + 1]]) for number in (0, 2, 4)]
    body = Body([part for block in blocks for part in (len(block).to_bytes(4, "big"), block)])
    assert await unpacked(body, None) == [(number,) for number in range(6)]
    with pytest.raises(ValueError, match="closed"):
        list(body.chunks())


async def test_a_row_that_does_not_fit_is_refused_and_the_body_closed() -> None:
    block = msgspec.msgpack.encode([{"x": "no number"}])
    body = Body((len(block).to_bytes(4, "big"), block))
    with pytest.raises(RowMismatch, match="x"):
        await unpacked(body, Point)
    with pytest.raises(RowMismatch):
        await unpacked(block, Point)
