"""A queue whose payloads are sealed with a keyring, which is rotated while the queue runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import apsw
import pytest

from chat.queue.action_queue import open_queue
from chat.queue.payloads import React, SaveUserConfig
from chat.queue.sealing import CannotOpen, CannotSeal, KeyringSeal
from chat.queue.settings import QueueSettings
from chat.testing import ManualClock, ScriptedServer
from tests.support.chat_queue import message
from tests.support.keys import FixedSource, MemoryStore, keyring
from workers.keys.keyring import open_keyring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat.queue.action_queue import ActionQueue
    from workers import Keyring

TOLD = "the treasure is under the third tree"


@asynccontextmanager
async def sealed_queue(
    folder: Path, ring: Keyring, clock: ManualClock | None = None
) -> AsyncIterator[ActionQueue]:
    settings = QueueSettings(statistics_debounce_s=0.001, stop_grace_s=1.0)
    with anyio.fail_after(30):
        async with open_queue(
            folder / "queue.db", settings, seal=KeyringSeal(ring), clock=clock or ManualClock()
        ) as queue:
            yield queue


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("queue.db*")) if path.is_file())


def rotate_and_retire(ring: Keyring) -> None:
    old = ring.key_id
    ring.promote(ring.add())
    ring.retire(old)


async def until_it_is(queue: ActionQueue, kind: str, client_id: str) -> None:
    async for event in queue.follow_events(0):
        if (event.kind, event.client_id) == (kind, client_id):
            break


def key_ids(folder: Path) -> list[str]:
    """Return the keys of the stored payloads, oldest first."""
    connection = apsw.Connection(str(folder / "queue.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [row[0] for row in connection.execute("SELECT key_id FROM action ORDER BY id")]
    finally:
        connection.close()


def sealed_sizes(folder: Path) -> list[int]:
    """Return the bytes of the stored payloads, oldest first."""
    connection = apsw.Connection(str(folder / "queue.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [row[0] for row in connection.execute("SELECT length(payload) FROM action ORDER BY id")]
    finally:
        connection.close()


async def test_what_waits_in_a_sealed_queue_can_not_be_read_from_its_files(tmp_path: Path) -> None:
    async with sealed_queue(tmp_path, keyring()) as queue:
        await queue.enqueue(message(TOLD))
        files = await anyio.to_thread.run_sync(on_disk, tmp_path)
    assert len(files) > 1_000
    assert TOLD.encode() not in files
    assert b"treasure" not in files


async def test_what_a_sealed_queue_leaves_readable_is_what_it_works_with_and_the_sizes_of_payloads(
    tmp_path: Path,
) -> None:
    async with sealed_queue(tmp_path, keyring()) as queue:
        sent = await queue.enqueue(message(TOLD, room="the-room"), account="an-account")
        await queue.enqueue(message(TOLD + "!", room="the-room"), account="an-account")
        await queue.enqueue(React(message_id="the-message", room_id="the-room", emoji="an-emoji", is_on=True))
        await queue.enqueue(SaveUserConfig(fields={"treasure": TOLD}))
        files = await anyio.to_thread.run_sync(on_disk, tmp_path)
        sizes = await anyio.to_thread.run_sync(sealed_sizes, tmp_path)
    assert b"treasure" not in files
    for readable in (sent.client_id, "the-room", "an-account", "send-message", "the-message", "an-emoji"):
        assert readable.encode() in files, readable
    assert sizes[1] == sizes[0] + 1


async def test_a_key_is_rotated_while_the_queue_runs_and_every_message_is_sent_in_order(
    tmp_path: Path,
) -> None:
    ring, server = keyring(), ScriptedServer()
    async with sealed_queue(tmp_path, ring) as queue:
        first = await queue.enqueue(message("before the rotation"))
        await anyio.to_thread.run_sync(lambda: ring.promote(ring.add()))
        second = await queue.enqueue(message("after the rotation"))
        old, new = await anyio.to_thread.run_sync(key_ids, tmp_path)
        assert {old: "superseded", new: "primary"} == ring.states()
        queue.handle_all(server)
        await first.sent()
        await second.sent()
        await anyio.to_thread.run_sync(ring.retire, old)
        await (await queue.enqueue(message("after the retirement"))).sent()
    assert [each.payload.content for each in server.effects] == [
        "before the rotation",
        "after the rotation",
        "after the retirement",
    ]


async def test_a_sealed_queue_is_sent_by_a_later_start_with_the_stored_keyring(tmp_path: Path) -> None:
    store, server = MemoryStore(), ScriptedServer()
    async with sealed_queue(tmp_path, keyring(store)) as queue:
        queue.put(message(TOLD))
        client_id = (await queue.enqueue(message("another"))).client_id
    ring = open_keyring(store, FixedSource())
    async with sealed_queue(tmp_path, ring) as queue:
        queue.handle_all(server)
        await until_it_is(queue, "done", client_id)
    assert [each.payload.content for each in server.effects] == [TOLD, "another"]


async def test_a_message_whose_key_is_retired_waits_and_is_not_lost(tmp_path: Path) -> None:
    ring, server, clock = keyring(), ScriptedServer(), ManualClock()
    async with sealed_queue(tmp_path, ring, clock) as queue:
        old = ring.key_id
        receipt = await queue.enqueue(message(TOLD))
        await anyio.to_thread.run_sync(rotate_and_retire, ring)
        queue.handle_all(server)
        await until_it_is(queue, "paused", receipt.client_id)
        held = await queue.find(receipt.client_id)
        assert (held.failure and held.failure.code, held.payload, server.effects) == (
            "key_unavailable",
            None,
            [],
        )
        await anyio.to_thread.run_sync(ring.restore, old)
        clock.advance(seconds=3_600)  # it is looked for from time to time
        await receipt.sent()
    assert [each.payload.content for each in server.effects] == [TOLD]


def test_the_seal_of_a_keyring_says_what_it_can_not() -> None:
    ring = keyring()
    seal = KeyringSeal(ring)
    key_id, sealed = seal.seal(b"body", b"row")
    assert (key_id, seal.open(key_id, sealed, b"row")) == (seal.key_id, b"body")
    with pytest.raises(CannotOpen):
        seal.open(key_id, sealed, b"another row")
    with pytest.raises(CannotOpen):
        seal.open("0" * 16, sealed, b"row")
    ring.close()
    with pytest.raises(CannotSeal):
        seal.seal(b"body", b"row")
