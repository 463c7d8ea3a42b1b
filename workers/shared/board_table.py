"""The values of a board, where they are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from workers.shared.board_messages import Add, Get, Put, Refused, Values, encoder
from workers.shared.cells import HIGHEST, LOWEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.shared.board_messages import Answer, Ask

MAX_NAMES_COUNT = 1_000
MAX_NAME_CHARS = 200
MAX_VALUE_BYTES = 64 * 1024


class Table:
    """The values themselves; any thread may ask."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._hearers: list[Callable[[], None]] = []

    def do(self, ask: Ask) -> Answer:
        """Do what is asked, whole."""
        with self._lock:
            answer = self._done(ask)
        if not isinstance(ask, Get) and isinstance(answer, Values) and answer.is_done:
            self.changed()
        return answer

    def changed(self) -> None:
        """Let everybody look again."""
        with self._lock:
            hearers = list(self._hearers)
        for hearer in hearers:
            hearer()

    def hear(self, hearer: Callable[[], None]) -> None:
        """Call `hearer` after each change, from whatever thread made it."""
        with self._lock:
            self._hearers.append(hearer)

    def forget(self, hearer: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._hearers.remove(hearer)

    def _done(self, ask: Ask) -> Answer:
        values = self._values
        if isinstance(ask, Get):
            return Values({name: msgspec.Raw(values[name]) for name in ask.names if name in values})
        if (why := self._why_no_name(ask.name)) is not None:
            return Refused(is_overflow=False, message=why)
        is_done = True
        if isinstance(ask, Add):
            before = msgspec.msgpack.decode(values.get(ask.name, b"\x00"))
            if type(before) is not int:
                return Refused(is_overflow=False, message=f"{ask.name} is no whole number")
            if not LOWEST <= before + ask.amount <= HIGHEST:
                return Refused(is_overflow=True, message=f"{ask.name} would have more than 64 bits")
            new = encoder.encode(before + ask.amount)
        elif isinstance(ask, Put):
            new = bytes(ask.value)
        else:
            is_done = values.get(ask.name) == bytes(ask.expected)
            new = bytes(ask.new)
        if len(new) > MAX_VALUE_BYTES:
            return Refused(is_overflow=False, message=f"a value takes at most {MAX_VALUE_BYTES} bytes")
        if is_done:
            values[ask.name] = new
        held = values.get(ask.name)
        return Values({} if held is None else {ask.name: msgspec.Raw(held)}, is_done)

    def _why_no_name(self, name: str) -> str | None:
        if len(name) > MAX_NAME_CHARS:
            return f"a name has at most {MAX_NAME_CHARS} characters"
        if name not in self._values and len(self._values) >= MAX_NAMES_COUNT:
            return f"a board holds {MAX_NAMES_COUNT} names"
        return None
