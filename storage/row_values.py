"""Rows on their way from a worker: tuples, or what the caller asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import msgspec.inspect
from anyio.lowlevel import checkpoint

from storage.errors import RowMismatch
from workers import Body

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_HEADER_BYTES = 4


@lru_cache(maxsize=256)
def wants_maps(into: type) -> bool:
    """Return whether rows become `into` by the names of their columns, rather than by their order."""
    found = msgspec.inspect.type_info(into)
    if isinstance(found, msgspec.inspect.StructType):
        return not found.array_like
    return isinstance(
        found, (msgspec.inspect.DataclassType, msgspec.inspect.TypedDictType, msgspec.inspect.DictType)
    )


async def unpacked(result: bytes | Body, into: type[T] | None) -> list[T] | list[tuple[Any, ...]]:
    """Return the packed rows of `result` as tuples, or as `into`; a large one lets the loop turn between blocks.

    SQLite has no truth values, dates or the like, so values are taken loosely: 1 is True, and the text of a date
    is a date.

    Raises:
        RowMismatch: A row does not fit `into`.
    """
    decoder = _decoder(cast("Any", into))
    try:
        if not isinstance(result, Body):
            return cast("list[T]", decoder.decode(result))
        with result:
            packed = memoryview(await result.read())
        rows: list[T] = []
        start = 0
        while start < len(packed):
            end = start + _HEADER_BYTES + int.from_bytes(packed[start : start + _HEADER_BYTES], "big")
            rows += decoder.decode(packed[start + _HEADER_BYTES : end])
            start = end
            await checkpoint()
    except msgspec.ValidationError as error:
        raise RowMismatch(f"a row does not fit: {error}") from error
    return rows


def told_rows(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], into: type[T] | None
) -> list[T] | list[tuple[Any, ...]]:
    """Return `rows` that came one by one in a message as tuples, or as `into`; see `unpacked`.

    Raises:
        RowMismatch: A row does not fit `into`.
    """
    if into is None:
        return [tuple(row) for row in rows]
    as_maps = wants_maps(cast("Any", into))
    found: Any = [dict(zip(columns, row, strict=True)) for row in rows] if as_maps else rows
    try:
        converted: list[T] = msgspec.convert(found, list[into], strict=False)  # type: ignore[valid-type]  # a type at run time
    except msgspec.ValidationError as error:
        raise RowMismatch(f"a row does not fit: {error}") from error
    return converted


@lru_cache(maxsize=256)
def _decoder(into: Any) -> msgspec.msgpack.Decoder[list[Any]]:
    row: Any = tuple if into is None else into
    return msgspec.msgpack.Decoder(list[row], strict=False)
