"""The file that `dataserver queue FILE` is about, and how it is opened: with the key that the settings have for its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chat import ActionQueue, QueueReader, QueueSettings, open_queue, read_queue

if TYPE_CHECKING:
    from workers import KeySource


@dataclass(frozen=True)
class QueueFile:
    """A queue's file, and its key if it has one."""

    path: Path
    key: KeySource | None

    def read(self) -> AbstractAsyncContextManager[QueueReader]:
        """Open it to look at it; see `read_queue`."""
        return read_queue(self.path, key=self.key)

    @asynccontextmanager
    async def take_part(self) -> AsyncIterator[ActionQueue]:
        """Open it as who works with it does; it must be a queue."""
        async with self.read():
            pass
        async with open_queue(self.path, QueueSettings(key=self.key)) as queue:
            yield queue
