"""A server that is killed with SIGKILL keeps every write that it acknowledged."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from collections.abc import Callable
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

    async def execute(self, sql: str, params: list[Any], ack: str = "durable") -> Any:
        asked = {"sql": sql, "params": params, "ack": ack}
        answer = await self.http.post("/v1/databases/ledger/execute", json=asked)
        answer.raise_for_status()
        return answer.json()

    async def rows(self, sql: str) -> list[list[Any]]:
        answer = await self.http.post("/v1/databases/ledger/query", json={"sql": sql, "shape": "arrays"})
        answer.raise_for_status()
        rows: list[list[Any]] = answer.json()["rows"]
        return rows


async def write_until_killed(
    server: RunningServer, client: Client, ack_of: Callable[[int], str]
) -> dict[int, str]:
    """Write rows by many writers at once, kill the server in the middle, and return what it acknowledged, and how."""
    acknowledged: dict[int, str] = {}

    async def write(first: int) -> None:
        number = first
        while True:
            try:
                done = await client.execute("INSERT INTO entry(number) VALUES (?)", [number], ack_of(number))
            except httpx2.HTTPStatusError as error:
                if (error.response.status_code, ack_of(number)) != (503, "queued"):  # whose places are few
                    raise
                continue
            except httpx2.HTTPError:
                return
            acknowledged[number] = done["ack"]
            number += WRITERS_COUNT
            if len(acknowledged) == WRITES_COUNT:
                server.process.send_signal(signal.SIGKILL)

    async with anyio.create_task_group() as group:
        for first in range(WRITERS_COUNT):
            group.start_soon(write, first)
    return acknowledged


async def fill_and_kill(
    server: RunningServer, client: Client, ack_of: Callable[[int], str] = lambda _: "durable"
) -> dict[int, str]:
    async with client.http:
        (await client.http.put("/v1/databases/ledger")).raise_for_status()
        await client.execute("CREATE TABLE entry(number INTEGER PRIMARY KEY) STRICT", [])
        return await write_until_killed(server, client, ack_of)


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
    assert set(acknowledged) - kept == set()
    assert len(kept - set(acknowledged)) <= WRITERS_COUNT  # written, and killed before the answer
    assert integrity == [["ok"]]


def test_after_a_kill_no_durable_write_is_missing_whatever_became_of_the_queued_ones_beside_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    with serving(folder) as server:
        assert server.process.stdout is not None
        token = server.process.stdout.readline().strip()
        acknowledged = anyio.run(
            fill_and_kill, server, Client(server, token), lambda number: ("durable", "queued")[number % 2]
        )
    with serving(folder) as server:
        kept, integrity = anyio.run(kept_numbers, Client(server, token))
        assert server.stop() == 0
    durable = {number for number, ack in acknowledged.items() if ack == "durable"}
    assert min(len(durable), len(acknowledged) - len(durable)) > WRITERS_COUNT
    assert durable - kept == set()
    assert integrity == [["ok"]]
