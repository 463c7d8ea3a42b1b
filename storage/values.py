"""Values between Python and a worker: parameters on their way in, rows on their way out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import msgspec.inspect
from anyio.lowlevel import checkpoint

from storage.earlier import Earlier, check
from storage.errors import ParameterMismatch, RowMismatch
from workers import Body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_PLAIN = frozenset({NoneType, bool, int, float, str, bytes, bytearray, memoryview})
_PLAIN_PARTS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, bytes.__bytes__),
)
"""The value that a subclass extends, whatever the subclass makes of `int()` or `str()`."""
_HEADER_BYTES = 4


def bound(params: Sequence[Any] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """Return `params` as a worker gets them; every kind of pool takes the same types.

    Subclasses of the types that SQLite stores (an IntEnum, say) become what they extend.

    Raises:
        ParameterMismatch: A value is of a type that SQLite does not store; convert it first.
    """
    if (
        type(params) is list or type(params) is tuple
    ):  # before the question about Mapping, which costs half a microsecond
        return _values(list(params))
    if isinstance(params, Mapping):
        if not all(isinstance(name, str) for name in params):
            raise ParameterMismatch("the names of parameters are texts")
        return dict(zip(params, _values(list(params.values())), strict=True))
    if isinstance(params, (str, bytes, bytearray)):
        raise ParameterMismatch("parameters are a sequence or a mapping, not a single value")
    return _values(list(params))


def bound_in_batch(params: Sequence[Any] | Mapping[str, Any], place: int) -> list[Any] | dict[str, Any]:
    """Return `params` of the statement at `place` of a request, which may refer to what earlier ones gave.

    Raises:
        ParameterMismatch: As `bound`; or one refers to a statement that is not before it.
    """
    values = params.values() if isinstance(params, Mapping) else params
    if Earlier not in map(type, values):
        return bound(params)
    check(values, place)
    if isinstance(params, Mapping):
        plain = bound({name: value for name, value in params.items() if type(value) is not Earlier})
        sent = {name: value.sent() for name, value in params.items() if type(value) is Earlier}
        return {**plain, **sent}  # type: ignore[dict-item]  # of a mapping it is a dict
    return [value.sent() if type(value) is Earlier else _values([value])[0] for value in params]


def _values(values: list[Any]) -> list[Any]:
    return values if _PLAIN.issuperset(map(type, values)) else [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    for kind, plain in _PLAIN_PARTS:
        if isinstance(value, kind):
            return plain(value)
    raise ParameterMismatch(f"a parameter is of type {type(value).__name__}, which SQLite does not store")


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
