"""One client in a process of its own: it sends its share of the log, or does one of everything else, and waits until all is done.

It may be killed at any moment and started again on its store: it goes on where it was.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

import chat
from chat.client.settings import ClientSettings
from chat.queue.settings import QueueSettings
from workers import SigningKey
from workers.keys.secrets import Secret

_LIMIT_S = 240.0
_MANY = 200
"""Messages that may wait at once."""
SETTINGS = ClientSettings(timeout_s=5.0, most_wait_s=2.0, queue=QueueSettings(max_delay_s=2.0))

TYPES = [replace(each, max_attempts=None) for each in chat.BUILT_IN]
"""Whatever the weather is like, nobody here looks at what failed and tries it again by hand."""


async def main(order: dict[str, Any]) -> None:
    """Do what `order` says."""
    with anyio.fail_after(_LIMIT_S):
        async with chat.Client(order["url"], store=order["store"], settings=SETTINGS, types=TYPES) as client:
            if not client.is_logged_in:
                await _logged_in(client, order)
            await (_send(client, order) if "lines" in order else _act(client, order))


async def _logged_in(client: chat.Client, order: dict[str, Any]) -> None:
    while True:
        try:
            await client.login(order["name"], order["password"])
        except (chat.Unreachable, chat.AnswerLost, chat.Transient):
            await anyio.sleep(0.1)
        else:
            return


async def _send(client: chat.Client, order: dict[str, Any]) -> None:
    room = anyio.Semaphore(_MANY)

    async def sent(receipt: chat.Receipt) -> None:
        await receipt.sent()
        room.release()

    async with anyio.create_task_group() as sending:
        for room_id, text in order["lines"]:
            await room.acquire()
            sending.start_soon(sent, client.send(room_id, text))
    seen = await _caught_up(client, order["rooms"])
    await anyio.Path(order["report"]).write_text(json.dumps(seen), encoding="utf-8")


async def _caught_up(client: chat.Client, rooms: list[str]) -> dict[str, list[int]]:
    """Return the numbers of the events that this device has kept of each room, once it is connected."""
    while not client.is_connected:  # noqa: ASYNC110 - nothing tells of it but a listener, which may come too late
        await anyio.sleep(0.05)
    seen: dict[str, list[int]] = {}
    for room_id in rooms:
        kept = await client.stream_events(room_id, limit=1_000_000)
        seen[room_id] = [event.seq for event in kept]
    return seen


async def _act(client: chat.Client, order: dict[str, Any]) -> None:
    with Secret(bytes.fromhex(order["key"])) as key:
        if order["phase"] == "offline":
            client.go_offline()
            client.settings.allow_sync(SigningKey("ed25519", key))
            await _done_offline(client, order)
            os.kill(os.getpid(), signal.SIGKILL)
        client.settings.allow_sync(SigningKey("ed25519", key))
        client.go_online()
        while True:
            counts = await client.queue.statistics()
            if not counts.pending and not counts.processing:
                assert not counts.failed, counts
                return
            await anyio.sleep(0.05)


async def _done_offline(client: chat.Client, order: dict[str, Any]) -> None:
    await client.keys.change(order["space"], "a sealed key")
    receipts = [
        await client.settings.set({"preferences.theme": "dark"}),
        await client.keys.sync(),
        client.edit(order["room"], order["mine"], "edited offline"),
        client.react(order["room"], order["other"], "+1"),
        client.pin(order["room"], order["other"]),
        client.unpin(order["room"], order["pinned"]),
        client.delete(order["room"], order["doomed"]),
        client.update_profile(display_name="Offline"),
        client.update_space(order["space"], {"description": "offline"}),
        client.mute(order["space"], order["muted"]),
        client.unmute(order["space"], order["unmuted"]),
        client.kick(order["space"], order["kicked"]),
        client.join(order["open_space"]),
        client.leave(order["old_space"]),
        client.send(order["room"], "written offline"),
    ]
    for receipt in receipts:
        assert receipt is not None
        await receipt.durable()


if __name__ == "__main__":
    anyio.run(main, json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
