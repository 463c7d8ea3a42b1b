"""The whole application over a chat, in the test's own process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import storage
from dataserver.app import build_application
from dataserver.auth import MIGRATIONS, TokenStore
from tests.support.chat_domain import open_bench
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dataserver.app import Application
    from tests.support.chat_domain import ChatBench

SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)


@asynccontextmanager
async def open_application(path: Path) -> AsyncIterator[tuple[Application, ChatBench]]:
    """Open an application whose files are in `path`, and the chat under it."""
    async with (
        open_bench(path / "chat.db") as bench,
        storage.open_databases(path / "data", SETTINGS) as databases,
        storage.open(path / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
    ):
        tokens = await TokenStore.open(own, clock=SystemClock())
        backups = storage.BackupFolder(path / "backups")
        yield build_application(databases, tokens, backups=backups, chat=bench.chat), bench
