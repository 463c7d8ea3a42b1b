"""Values by name that one process holds and any other asks for: shared state where there is no shared memory.

The owner's own calls are a dictionary and a lock. Another process has a link: a Unix socket to one thread of the
owner's, with the frames that pools use; an ask is a round trip of some 50 us (two to five times that on a busy
machine, 2026-11), which blocks an event loop for as long. Each ask is done whole by the owner or not at all, so a user that is killed holds up nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from workers.shared.board_link import Link
from workers.shared.board_messages import Add, Get, Put, Refused, Swap, Values, encoder
from workers.shared.board_owner import Owner
from workers.shared.board_table import Table
from workers.shared.cells import MIN_INTERVAL_S, changes_of, until, wait_until
from workers.shared.errors import SharedClosed, SharedRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from typing import Self

    from workers.shared.board_messages import Answer, Ask
    from workers.shared.cells import Changes, Ear, Listener

_MAGIC = "board1"


class SharedBoard:
    """Named values in common: set, get, subscribe; bounded in number and size.

    A value is what MessagePack carries. The process that makes the board owns it: when that ends, the others get
    `OwnerLost`.
    """

    def __init__(self, values: Mapping[str, Any] | None = None, *, _way: Owner | Link | None = None) -> None:
        self._way = _way if _way is not None else Owner(Table())
        self._is_closed = False
        for name, value in (values or {}).items():
            self.set(name, value)

    @classmethod
    def from_buffer(cls, buffer: bytes | memoryview) -> Self:
        """Return the board that `get_buffer` described, in another process or in the same.

        Raises:
            SharedRefused: It describes none.
        """
        try:
            magic, path, token = msgspec.msgpack.decode(buffer, type=tuple[str, str, bytes])
        except msgspec.MsgspecError:
            magic, path, token = "", "", b""
        if magic != _MAGIC:
            raise SharedRefused("this is no board")
        return cls(_way=Link(path, token))

    def get_buffer(self) -> bytes:
        """Return what another process of this machine makes the same board from; it lets in whoever has it.

        Raises:
            OSError: No socket is to be had.
        """
        self._check_open()
        return encoder.encode((_MAGIC, *self._way.address()))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called here."""
        return self._is_closed

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value.

        Raises:
            OwnerLost: The owner is gone.
            SharedClosed: It was closed here.
        """
        return self._value(self._asked(Get([name])), name, default)

    def set(self, name: str, value: Any) -> None:
        """Set a value.

        Raises:
            SharedRefused: Too many names, or too large a value or name.
            TypeError, ValueError, OverflowError: MessagePack does not carry it.
            OwnerLost, SharedClosed: As `get`.
        """
        self._asked(Put(name, _raw(value)))

    def add(self, name: str, amount: int) -> int:
        """Add to a whole number of at most 64 bits, which is 0 if it was never set, and return the sum.

        Raises:
            OverflowError: The sum has more than 64 bits; nothing was changed.
            SharedRefused: It is no whole number, or too many names.
            OwnerLost, SharedClosed: As `get`.
        """
        total: int = self._value(self._asked(Add(name, amount)), name, 0)
        return total

    def compare_and_swap(self, name: str, expected: Any, new: Any) -> bool:
        """Set a value that is `expected`, of the same type too, to `new`; return whether it was; errors as `set`."""
        return self._asked(Swap(name, _raw(expected), _raw(new))).is_done

    def subscribe(
        self, *names: str, min_interval_s: float = MIN_INTERVAL_S
    ) -> AbstractAsyncContextManager[Changes[dict[str, Any]]]:
        """Follow the values of `names`: those of now, then all of them whenever one differs."""

        def read() -> dict[str, Any]:
            values = self._asked(Get(list(names))).values
            return {name: msgspec.msgpack.decode(value) for name, value in values.items()}

        return changes_of(self, read, min_interval_s)

    def wait(self, fact: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Block this thread until `fact()`, which looks at the board, is true; False after `timeout_s`."""
        return wait_until(self, fact, timeout_s)

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait on an event loop until `fact()`, which looks at the board, is true."""
        await until(self, fact)

    def listener(self) -> AbstractContextManager[Listener]:
        """Listen to all values from a thread; see `Cells`."""
        self._check_open()
        return self._way.listener()

    def ear(self) -> AbstractAsyncContextManager[Ear]:
        """Listen to all values from a task; see `Cells`."""
        self._check_open()
        return self._way.ear()

    def close(self) -> None:
        """Let go of it; if it was made here, it is gone for the others too."""
        if not self._is_closed:
            self._is_closed = True
            self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(self, ask: Ask) -> Values:
        self._check_open()
        answer: Answer = self._way.do(ask)
        if isinstance(answer, Refused):
            raise OverflowError(answer.message) if answer.is_overflow else SharedRefused(answer.message)
        return answer

    def _check_open(self) -> None:
        if self._is_closed:
            raise SharedClosed("this board is closed")

    def _value(self, answer: Values, name: str, default: Any) -> Any:
        value = answer.values.get(name)
        return default if value is None else msgspec.msgpack.decode(value)


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(encoder.encode(value))
