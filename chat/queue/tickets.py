"""Actions on their way to the disk, each with what its giver is told; many in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from chat.queue.records import NewAction


class Ticket:
    """An action on its way to the disk."""

    __slots__ = ("_error", "_written", "is_judged", "new", "payload", "was_there")

    def __init__(self, new: NewAction, payload: Any, written: anyio.Event) -> None:
        self.new = new
        self.payload = payload
        """Kept only of those that may be coalesced."""
        self.was_there = False
        """An action of this client id was stored before, with the same payload."""
        self.is_judged = False
        """It is known whether it was stored, or why not."""
        self._written = written
        self._error: Exception | None = None

    async def durable(self) -> None:
        """Return when the action is on the disk; cancelled, it is stored none the less.

        Raises:
            QueueError, StorageError: As `Receipt.durable`.
        """
        await self._written.wait()
        if self._error is not None:
            raise self._error

    @property
    def is_written(self) -> bool:
        """It is on the disk, or was refused."""
        return self._written.is_set()

    @property
    def error(self) -> Exception | None:
        """Why it was not stored, once that is known."""
        return self._error

    def refuse(self, error: Exception) -> None:
        """Have `durable` raise `error`."""
        self._error = error
        self.is_judged = True


class Batch:
    """What is written together, and whose givers are told together."""

    __slots__ = ("size_bytes", "tickets", "written")

    def __init__(self) -> None:
        self.size_bytes = 0
        """Of the payloads."""
        self.tickets: list[Ticket] = []
        self.written = anyio.Event()
