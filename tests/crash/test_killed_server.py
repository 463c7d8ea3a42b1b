"""A server that is killed with SIGKILL keeps every write that it acknowledged."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from pathlib import Path

WRITES_COUNT = 5_000
WRITERS_COUNT = 50


class Client:
    """Speaks to a server as its admin; made outside the event loop, for it reads certificates from disk."""

    def __init__(self, server: RunningServer, token: str) -> None:
        self.http = httpx2.AsyncClient(
            base_url=server.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20.0,
            limits=httpx2.Limits(max_connections=WRITERS_COUNT),
        )

    async def execute(self, sql: str, params: list[Any]) -> Any:
        answer = await self.http.post("/v1/databases/ledger/execute", json={"sql": sql, "params": params})
        answer.raise_for_status()
        return answer.json()

    async def rows(self, sql: str) -> list[list[Any]]:
        answer = await self.http.post("/v1/databases/ledger/query", json={"sql": sql, "shape": "arrays"})
        answer.raise_for_status()
        rows: list[list[Any]] = answer.json()["rows"]
        return rows


async def write_until_killed(server: RunningServer, client: Client) -> set[int]:
    """Write rows by many writers at once, kill the server in the middle, and return what it acknowledged."""
    acknowledged: set[int] = set()

    async def write(first: int) -> None:
        number = first
        while True:
            try:
                await client.execute("INSERT INTO entry(number) VALUES (?)", [number])
            except httpx2.HTTPError:
                return
            acknowledged.add(number)
            number += WRITERS_COUNT
            if len(acknowledged) == WRITES_COUNT:
                server.process.send_signal(signal.SIGKILL)

    async with anyio.create_task_group() as group:
        for first in range(WRITERS_COUNT):
            group.start_soon(write, first)
    return acknowledged


async def fill_and_kill(server: RunningServer, client: Client) -> set[int]:
    async with client.http:
        (await client.http.put("/v1/databases/ledger")).raise_for_status()
        await client.execute("CREATE TABLE entry(number INTEGER PRIMARY KEY) STRICT", [])
        return await write_until_killed(server, client)


async def kept_numbers(client: Client) -> tuple[set[int], list[list[Any]]]:
    async with client.http:
        kept = {row[0] for row in await client.rows("SELECT number FROM entry")}
        return kept, await client.rows("SELECT integrity_check FROM pragma_integrity_check")


@pytest.mark.parametrize("workers", ["process", "thread", "off"])
def test_after_a_kill_every_acknowledged_write_is_there(tmp_path: Path, workers: str) -> None:
    folder = tmp_path / "data"
    with serving(folder, "--workers", workers) as server:
        assert server.process.stdout is not None
        token = server.process.stdout.readline().strip()
        acknowledged = anyio.run(fill_and_kill, server, Client(server, token))
    assert len(acknowledged) >= WRITES_COUNT
    with serving(folder, "--workers", workers) as server:
        kept, integrity = anyio.run(kept_numbers, Client(server, token))
        assert server.stop() == 0
    assert acknowledged - kept == set()
    assert len(kept - acknowledged) <= WRITERS_COUNT  # written, and killed before the answer
    assert integrity == [["ok"]]
