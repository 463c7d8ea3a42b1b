"""A server that is killed with SIGKILL tells every change of a write that it acknowledged to whoever comes back."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from tests.support.command_line import RunningServer, serving

if TYPE_CHECKING:
    from pathlib import Path

WRITES_COUNT = 300
WRITERS_COUNT = 10
PATH = "/v1/databases/ledger"


class Client:
    """Speaks to a server as its admin; made outside the event loop, for it reads certificates from disk."""

    def __init__(self, server: RunningServer, token: str) -> None:
        self.http = httpx2.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=20.0
        )

    async def execute(self, sql: str, params: list[Any]) -> None:
        (await self.http.post(f"{PATH}/execute", json={"sql": sql, "params": params})).raise_for_status()

    async def follow(self, heard: dict[str, int], last_id: str, until_count: int | None) -> None:
        """Note each change under its id, until the server is gone or so many are known."""
        headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
        name = kind = ""
        try:
            async with self.http.stream("GET", f"{PATH}/changes", headers=headers) as answer:
                async for line in answer.aiter_lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        name = value
                    elif field == "event":
                        kind = value
                    elif field == "data" and kind == "change":
                        assert name not in heard
                        heard[name] = json.loads(value)["key"][0]
                        if len(heard) == until_count:
                            return
        except httpx2.HTTPError:
            assert until_count is None


async def write_follow_and_kill(
    server: RunningServer, client: Client
) -> tuple[set[int], dict[str, int], str]:
    acknowledged: set[int] = set()
    heard: dict[str, int] = {}

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

    async with client.http:
        (await client.http.put(PATH)).raise_for_status()
        await client.execute("CREATE TABLE entry(number INTEGER PRIMARY KEY) STRICT", [])
        followed = await client.http.put(f"{PATH}/tables/entry/changes", json={})
        begin: str = followed.raise_for_status().json()["cursor"]
        async with anyio.create_task_group() as group:
            group.start_soon(client.follow, heard, begin, None)
            for first in range(WRITERS_COUNT):
                group.start_soon(write, first)
    return acknowledged, heard, begin


async def hear_the_rest(client: Client, heard: dict[str, int], last_id: str) -> set[int]:
    async with client.http:
        sql = "SELECT number FROM entry"
        answer = await client.http.post(f"{PATH}/query", json={"sql": sql, "shape": "arrays"})
        kept = {row[0] for row in answer.raise_for_status().json()["rows"]}
        if len(heard) < len(kept):
            with anyio.fail_after(20):
                await client.follow(heard, last_id, len(kept))
        return kept


def test_after_a_kill_no_change_of_an_acknowledged_write_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(folder) as server:
        token = server.first_token
        acknowledged, heard, begin = anyio.run(write_follow_and_kill, server, Client(server, token))
    told_before_the_kill = set(heard.values())
    last_id = list(heard)[-1] if heard else begin
    with serving(folder) as server:
        kept = anyio.run(hear_the_rest, Client(server, token), heard, last_id)
        assert server.stop() == 0
    assert len(acknowledged) >= WRITES_COUNT
    assert told_before_the_kill <= kept  # nothing is told that a crash takes back
    assert acknowledged <= set(heard.values()) == kept
    numbers = [int(name.rpartition("-")[2]) for name in heard]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
