"""A client that follows a stream misses nothing and is told nothing twice, whenever it comes and however often."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anyio
import pytest

from dataserver.loop_lag import LoopLag
from dataserver.metrics import Metrics
from dataserver.socket.following import MAX_HELD_COUNT
from dataserver.socket.hub import MAX_READING_COUNT
from dataserver.socket.limits import SocketLimits
from storage import StorageSaturated
from tests.support.socket_peer import SocketBench, open_sockets
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from chat import StreamState
    from chat.domain.streams import MissedEvent


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[SocketBench]:
    async with open_sockets(tmp_path / "chat.db") as bench:
        yield bench


async def test_a_follower_is_told_of_a_message_as_everybody_reads_it(bench: SocketBench) -> None:
    peer = await bench.follower(bench.chat.bob)
    await bench.chat.send("hello")

    (told,) = await peer.until_told("event")
    assert [told] == await bench.chat.events()


async def test_who_comes_back_is_told_what_was_missed_and_then_goes_on(bench: SocketBench) -> None:
    for number in range(5):
        await bench.chat.send(f"{number}")
    peer = await bench.peer(bench.chat.bob)
    first = await peer.ask(op="subscribe", streams={str(bench.chat.room): None})
    state = first["ok"][str(bench.chat.room)]
    assert (state["last_seq"], state["recovered"]) == (5, False)

    again = await bench.peer(bench.chat.bob)
    since = {"epoch": state["epoch"], "seq": 2}
    answer = await again.ask(op="subscribe", streams={str(bench.chat.room): since})
    assert answer["ok"][str(bench.chat.room)]["recovered"]
    await bench.chat.send("live")
    await again.until_told("event", 4)
    assert again.seqs(bench.chat.room) == [3, 4, 5, 6]


@pytest.mark.parametrize(
    "since", [{"epoch": "another", "seq": 1}, {"seq": 9}, None], ids=["epoch", "future", "nothing"]
)
async def test_who_can_not_be_caught_up_is_told_so_and_hears_what_comes(
    bench: SocketBench, since: dict[str, object] | None
) -> None:
    await bench.chat.send("old")
    room = str(bench.chat.room)
    peer = await bench.peer(bench.chat.bob)
    if since is not None and "epoch" not in since:
        state = await peer.ask(op="subscribe", streams={room: None})
        since = {**since, "epoch": state["ok"][room]["epoch"]}
    answer = await peer.ask(op="subscribe", streams={room: since})
    assert answer["ok"][room]["recovered"] is False
    await bench.chat.send("new")
    await peer.until_told("event")
    assert peer.seqs(bench.chat.room) == [2]


async def test_who_missed_too_much_is_told_to_read_the_pages(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_catch_up_count=3) as bench:
        room = str(bench.chat.room)
        peer = await bench.follower(bench.chat.bob)
        epoch = (await peer.ask(op="subscribe", streams={room: None}))["ok"][room]["epoch"]
        for number in range(4):
            await bench.chat.send(f"{number}")
        too_much = await peer.ask(op="subscribe", streams={room: {"epoch": epoch, "seq": 0}})
        enough = await peer.ask(op="subscribe", streams={room: {"epoch": epoch, "seq": 1}})
        assert [each["ok"][room]["recovered"] for each in (too_much, enough)] == [False, True]


async def test_nothing_is_missed_or_doubled_while_messages_come_and_clients_subscribe(
    bench: SocketBench,
) -> None:
    room, count = bench.chat.room, 4 * MAX_HELD_COUNT
    peers = []

    async def send() -> None:
        for number in range(count):
            await bench.chat.send(f"{number}")

    async with anyio.create_task_group() as tasks:
        epoch = (await (await bench.peer(bench.chat.bob)).ask(op="subscribe", streams={str(room): None}))[
            "ok"
        ]
        since = {"epoch": epoch[str(room)]["epoch"], "seq": 0}
        tasks.start_soon(send)
        for _ in range(20):
            peers.append(await bench.peer(bench.chat.bob))
            peers[-1].say(op="subscribe", streams={str(room): since})
    for peer in peers:
        await peer.until_told("event", count)
        assert peer.seqs(room) == list(range(1, count + 1))


async def test_streams_that_one_may_not_see_are_not_there(bench: SocketBench) -> None:
    peer = await bench.peer(bench.chat.eve)
    wanted = [bench.chat.room, bench.chat.space, bench.chat.ann, 99_999, bench.chat.eve]
    answer = await peer.ask(op="subscribe", streams={str(each): None for each in wanted})
    refused = [name for name, each in answer["ok"].items() if "error" in each]
    assert refused == [str(each) for each in wanted[:-1]]
    await bench.chat.send("secret")
    assert (await peer.ask(op="ping"))["ok"] == {}
    assert peer.of("event") == []


async def test_who_leaves_a_space_hears_nothing_that_comes_after(bench: SocketBench) -> None:
    chat = bench.chat
    peer = await bench.follower(chat.bob, chat.room, chat.space, chat.bob)
    other = await bench.follower(chat.ann)
    await chat.send("before")
    await chat.chat.tables.write_all(
        [
            ("tell", (chat.space, "member.kicked", chat.ann, None, f'{{"user":"{chat.bob}"}}', 1)),
        ]
    )
    await chat.send("after")
    await other.until_told("event", 2)
    (ended,) = await peer.until_told("ended")
    assert sorted(ended["streams"]) == sorted([str(chat.room), str(chat.space)])
    assert [each["kind"] for each in peer.of("event")] == ["message.created", "member.kicked"]


async def test_who_follows_a_room_alone_leaves_it_with_the_space(bench: SocketBench) -> None:
    chat = bench.chat
    peer, other = await bench.follower(chat.bob), await bench.follower(chat.ann)
    await chat.chat.moderation.kick(chat.ann, "kick", chat.space, chat.bob)
    await chat.send("after")
    await other.until_told("event")
    assert await peer.until_told("ended") == [{"streams": [str(chat.room)], "reason": "not_a_member"}]
    assert peer.of("event") == []


async def test_who_is_kicked_while_subscribing_does_not_follow(bench: SocketBench) -> None:
    chat = bench.chat
    real = chat.chat.streams.states
    other = await bench.follower(chat.ann, chat.space, chat.room)

    async def read_before_the_kick(user_id: int, stream_ids: Collection[int]) -> dict[int, StreamState]:
        found = await real(user_id, stream_ids)
        await chat.chat.moderation.kick(chat.ann, "kick", chat.space, chat.bob)
        await other.until_told("event")
        return found

    chat.chat.streams.states = read_before_the_kick  # type: ignore[method-assign] # the kick comes in between
    peer = await bench.peer(chat.bob)
    answer = await peer.ask(op="subscribe", streams={str(chat.room): None, str(chat.bob): None})
    assert answer["ok"][str(chat.room)]["error"]["code"] == "not_found"
    assert "epoch" in answer["ok"][str(chat.bob)]
    await chat.send("after")
    await other.until_told("event", 2)
    assert peer.seqs(chat.room) == []


async def test_the_end_of_a_space_ends_what_is_followed_in_it(bench: SocketBench) -> None:
    chat = bench.chat
    peer = await bench.follower(chat.bob)
    await chat.chat.tables.write("tell", chat.space, "space.deleted", chat.ann, None, None, 1)
    assert (await peer.until_told("ended"))[0]["streams"] == [str(chat.room)]


async def test_connections_deliveries_and_endings_are_counted(bench: SocketBench) -> None:
    metrics = Metrics(LoopLag())
    metrics._hub = bench.hub
    await (await bench.follower(bench.chat.bob)).ask(op="ping")
    peer = await bench.follower(bench.chat.bob)
    await bench.chat.send("hello")
    await peer.until_told("event")
    bench.hub.end_session(bench.chat.bob)
    await until(lambda: bench.hub.open_count == 0)
    text = (await metrics.exposition()).decode()
    assert "dataserver_socket_connections 0.0" in text
    assert "dataserver_socket_deliveries_total 2.0" in text
    assert 'dataserver_socket_ended_total{reason="session_ended"} 2.0' in text
    assert re.search(r"dataserver_socket_sent_bytes_total [1-9]", text)


async def test_who_unsubscribes_hears_no_more(bench: SocketBench) -> None:
    peer = await bench.follower(bench.chat.bob)
    await peer.ask(op="unsubscribe", streams=[str(bench.chat.room)])
    await bench.chat.send("unheard")
    other = await bench.follower(bench.chat.ann)
    await bench.chat.send("heard")
    await other.until_told("event")
    assert peer.of("event") == []


async def test_a_connection_may_follow_only_so_many_streams(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_streams=2) as bench:
        peer = await bench.peer(bench.chat.bob)
        answer = await peer.ask(op="subscribe", streams={"1": None, "2": None, "3": None})
        assert answer["error"]["code"] == "limit_reached"


async def test_clients_that_come_back_all_at_once_wait_their_turn_and_are_all_served(
    bench: SocketBench,
) -> None:
    asking = most = 0
    real = bench.chat.chat.streams.states

    async def counted(user_id: int, stream_ids: Collection[int]) -> dict[int, StreamState]:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        try:
            return await real(user_id, stream_ids)
        finally:
            asking -= 1

    bench.chat.chat.streams.states = counted  # type: ignore[method-assign] # counts what is asked at once
    bench.hub.limits = SocketLimits(max_connections_per_user=1_000)
    peers = [await bench.peer(bench.chat.bob) for _ in range(3 * MAX_READING_COUNT)]
    for peer in peers:
        peer.say(id=99, op="subscribe", streams={str(bench.chat.room): None})
    for peer in peers:
        await peer.until_told("ok", 2)
    assert 1 < most <= MAX_READING_COUNT


async def test_what_was_missed_waits_on_disk_for_a_client_that_reads_slowly(tmp_path: Path) -> None:
    async with open_sockets(tmp_path / "chat.db", max_waiting_bytes=20_000) as bench:
        room, count = str(bench.chat.room), 250
        for number in range(count):
            await bench.chat.send(f"{number} " + "x" * 500)
        peer = await bench.peer(bench.chat.bob)
        epoch = (await peer.ask(op="subscribe", streams={room: None}))["ok"][room]["epoch"]
        (subscriber,) = bench.hub._by_user[bench.chat.bob]
        peer.reads.clear()
        peer.say(op="subscribe", streams={room: {"epoch": epoch, "seq": 0}})
        await until(lambda: not subscriber.outbox.is_half_empty)
        await bench.chat.send("live")
        assert subscriber.outbox.waiting_bytes <= 20_000
        peer.reads.set()
        await peer.until_told("event", count + 1)
        assert peer.seqs(bench.chat.room) == list(range(1, count + 2))
        assert peer.closed is None


async def test_who_can_not_be_caught_up_now_is_told_to_try_again(bench: SocketBench) -> None:
    room = str(bench.chat.room)
    await bench.chat.send("missed")
    peer = await bench.peer(bench.chat.bob)
    epoch = (await peer.ask(op="subscribe", streams={room: None}))["ok"][room]["epoch"]

    async def busy(*_: object, **__: object) -> list[MissedEvent]:
        raise StorageSaturated("the queue is full", retry_after_s=0.1)

    real, bench.chat.chat.streams.missed = bench.chat.chat.streams.missed, busy  # type: ignore[method-assign] # the database has too much to do
    since = {"epoch": epoch, "seq": 0}
    assert "ok" in await peer.ask(op="subscribe", streams={room: since})
    assert await peer.until_told("ended") == [{"streams": [room], "reason": "try_again"}]
    bench.chat.chat.streams.missed = real  # type: ignore[method-assign] # and now it has time
    await peer.ask(op="subscribe", streams={room: since})
    await peer.until_told("event")
    assert peer.seqs(bench.chat.room) == [1]
