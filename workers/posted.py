"""A call whose caller does not wait for it, but is told of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Posted:
    """Stands where the future of a call does; `on_end`, which must not raise, gets a result or an error, once."""

    __slots__ = ("_is_done", "_on_end")

    def __init__(self, on_end: Callable[[Any, BaseException | None], None]) -> None:
        self._on_end = on_end
        self._is_done = False

    def done(self) -> bool:
        """See `workers.completion.Future`."""
        return self._is_done

    def set_result(self, value: Any, /) -> None:
        """See `workers.completion.Future`."""
        self._is_done = True
        self._on_end(value, None)

    def set_exception(self, error: BaseException, /) -> None:
        """See `workers.completion.Future`."""
        self._is_done = True
        self._on_end(None, error)

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("nobody waits for a call that was posted")
