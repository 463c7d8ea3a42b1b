"""Parameters of statements on their way to SQLite; nothing here needs an event loop, so workers may import it."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from storage.earlier import Earlier, check
from storage.errors import ParameterMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PLAIN = frozenset({NoneType, bool, int, float, str, bytes, bytearray, memoryview})
_PLAIN_PARTS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, bytes.__bytes__),
)
"""The value that a subclass extends, whatever the subclass makes of `int()` or `str()`."""


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
