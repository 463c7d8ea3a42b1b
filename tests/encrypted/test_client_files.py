"""What a client and a queue leave on the disk, with a key of theirs and without."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from chat import Client, QueueSettings, SendMessage, open_queue
from storage import DatabaseCorrupt, WrongKey
from tests.encrypted.conftest import MARKER, shown_in
from tests.support.chat_client import NOWHERE, PASSWORD, QUICK
from tests.support.command_line import THREADS, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from workers import FileKeySource

    Keys = dict[str, FileKeySource]

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """The server is started on the loop, which waits for nobody else."""


@asynccontextmanager
async def client_of(url: str, store: Path, key: FileKeySource | None) -> AsyncIterator[Client]:
    with anyio.fail_after(LIMIT_S):
        async with Client(url, store=store, settings=replace(QUICK, key=key)) as client:
            yield client


@pytest.mark.parametrize("is_encrypted", [True, False], ids=["encrypted", "in the clear"])
async def test_what_a_client_keeps_can_be_read_without_its_key_only_where_it_has_none(
    is_encrypted: bool, tmp_path: Path, keys: Keys
) -> None:
    key, store = (keys["first"] if is_encrypted else None), tmp_path / "store"
    with serving(tmp_path / "data", environment={**THREADS, "DATASERVER_REGISTRATION": "1"}) as server:
        async with client_of(server.url, store, key) as client:
            await client.register("ann", PASSWORD)
            made = await client.call("POST", "/v1/spaces", {"client_id": "s", "name": "home"})
            asked = {"client_id": "r", "name": "general"}
            room = (await client.call("POST", f"/v1/spaces/{made['id']}/rooms", asked))["id"]
            await client.send(room, f"{MARKER} sent").sent()
            while not (await client.messages(room))[0].seq:  # noqa: ASYNC110 - the stream brings it, within the limit
                await anyio.sleep(0.01)
            kept = shown_in(store, MARKER.encode())
    async with client_of(NOWHERE, store, key) as client:
        client.send(room, f"{MARKER} waits")
        assert [each.content for each in await client.messages(room)] == [f"{MARKER} sent", f"{MARKER} waits"]
        await client.queue.enqueue(SendMessage(room_id=room, content=f"{MARKER} waits too"))
        waiting = shown_in(store, MARKER.encode())
    assert ("cache" in {name.partition(".")[0] for name in kept}, kept == []) == (
        not is_encrypted,
        is_encrypted,
    )
    assert {name.partition(".")[0] for name in waiting} == (set() if is_encrypted else {"cache", "queue"})
    if is_encrypted:
        for other, error in ((keys["second"], WrongKey), (None, DatabaseCorrupt)):
            with pytest.raises(error):
                async with client_of(NOWHERE, store, other):
                    pass
        async with client_of(NOWHERE, store, key) as client:
            assert len(await client.messages(room)) >= 2


async def test_nothing_of_what_a_queue_works_with_can_be_read_where_its_file_has_a_key(
    tmp_path: Path, keys: Keys
) -> None:
    settings = QueueSettings(key=keys["first"], stop_grace_s=1.0)
    with anyio.fail_after(LIMIT_S):
        async with open_queue(tmp_path / "queue.db", settings) as queue:
            payload = SendMessage(room_id="the-room", content=MARKER)
            sent = await queue.enqueue(payload, account="an-account")
            for text in (MARKER, "the-room", "an-account", "send-message", sent.client_id):
                assert shown_in(tmp_path, text.encode()) == []
        async with open_queue(tmp_path / "queue.db", settings) as queue:
            assert (await queue.find(sent.client_id)).payload == payload
        with pytest.raises(WrongKey):
            async with open_queue(tmp_path / "queue.db", QueueSettings(key=keys["second"])):
                pass
