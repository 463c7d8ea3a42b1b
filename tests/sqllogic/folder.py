"""Files of statements run in every way, each file on a database of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import apsw

import storage
from dataserver.app import build_application
from dataserver.auth import MIGRATIONS, TokenStore
from dataserver.limits import HttpLimits
from dataserver.wire import json_bytes
from tests.sqllogic.records import records, sampled
from tests.sqllogic.ways import Ways
from tests.support.asgi import Call
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.sqllogic.ways import Tally

SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)
_NAME = "compared"


@asynccontextmanager
async def all_ways(folder: Path) -> AsyncIterator[Ways]:
    """Open every way on new databases in `folder`, the application of the server among them."""
    async with (
        storage.open_databases(folder / "data", SETTINGS) as databases,
        storage.open(folder / "server.db", SETTINGS, migrations=MIGRATIONS) as own,
    ):
        tokens = await TokenStore.open(own, clock=SystemClock())
        issued = await tokens.create(name="", role="admin")
        headers = {b"authorization": f"Bearer {issued.token}".encode()}
        backups = storage.BackupFolder(folder / "backups")
        app = build_application(databases, tokens, settings=HttpLimits(), backups=backups)

        async def http(body: dict[str, Any]) -> tuple[int, bytes]:
            path = f"/v1/databases/{_NAME}/query"
            call = await Call("POST", path, body=[json_bytes(body)], headers=dict(headers)).by(app)
            return call.status, call.answer

        database = await databases.create(_NAME)
        plain = await anyio.to_thread.run_sync(_plain, folder / "plain.db")
        try:
            yield Ways(database, plain, http)
        finally:
            plain.close()


def _plain(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "off")
    return connection


async def run_file(path: Path, folder: Path, max_queries: int = 0) -> Tally:
    """Run the statements of `path` in every way; `folder` is an empty one for the databases.

    With `max_queries` a longer file has no more of its queries run, evenly taken from all of it.
    """
    text = await anyio.Path(path).read_text(encoding="utf-8", errors="replace")
    async with all_ways(folder) as ways:
        for record in sampled(list(records(text)), max_queries):
            await ways.run(record.sql, f"{path.name}:{record.line}", is_ordered=record.is_ordered)
        return ways.tally
