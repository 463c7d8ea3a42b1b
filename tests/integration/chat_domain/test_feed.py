"""Whoever listens hears every event that is committed from then on, in the order of the commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from tests.support.loops import BOTH, on
from tests.support.waiting import until

if TYPE_CHECKING:
    import pytest

    from chat.domain.feed import FedEvent
    from tests.support.chat_domain import ChatBench

anyio_backend = on(BOTH)


class Ear:
    """Hears, and wakes who waits for so many events."""

    def __init__(self, count: int) -> None:
        self.heard: list[FedEvent] = []
        self._count = count
        self._all = anyio.Event()

    def hear(self, event: FedEvent) -> None:
        self.heard.append(event)
        if len(self.heard) == self._count:
            self._all.set()

    async def all(self) -> list[FedEvent]:
        with anyio.fail_after(10):
            await self._all.wait()
        return self.heard


async def test_events_are_heard_in_the_order_of_their_commits(bench: ChatBench) -> None:
    ear = Ear(21)
    bench.chat.feed.listen_everywhere(ear)
    await bench.chat.spaces.open_to_all(bench.ann, "o", bench.space, is_open=True)
    for n in range(20):
        await bench.send(f"{n}")
    heard = await ear.all()
    assert [event.seq for event in heard if event.stream_id == bench.room] == list(range(1, 21))
    assert [event.position for event in heard] == sorted({event.position for event in heard})


async def test_who_begins_to_listen_while_nobody_did_misses_nothing_after_that(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = bench.chat.tables.one
    ear = Ear(1)
    began = anyio.Event()

    async def listened_to_meanwhile(name: str, *params: Any) -> tuple[Any, ...] | None:
        if name == "feed_end" and not began.is_set():
            bench.chat.feed.listen(bench.room, ear)
            began.set()
            await bench.send("just now")
        return await asked(name, *params)

    monkeypatch.setattr(bench.chat.tables, "one", listened_to_meanwhile)
    bench.chat.feed.stir()
    assert [event.kind for event in await ear.all()] == ["message.created"]


async def test_while_nobody_has_a_use_for_events_none_is_read(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = bench.chat.tables.all
    read: list[str] = []

    async def noted(name: str, *params: Any) -> list[tuple[Any, ...]]:
        read.append(name)
        return await asked(name, *params)

    monkeypatch.setattr(bench.chat.tables, "all", noted)
    ear = Ear(1)
    has_use = False
    bench.chat.feed.listen_everywhere(ear, has_use=lambda: has_use)
    before = await bench.send("to nobody")
    end = await bench.chat.tables.one("feed_end")
    assert end is not None
    await until(lambda: bench.chat.feed.position >= end[0])
    has_use = True
    await bench.send("to somebody")
    (event,) = await ear.all()
    assert event.seq == before.seq + 1
    assert read == ["feed"]


async def test_who_left_hears_no_more(bench: ChatBench) -> None:
    gone, ear = Ear(1), Ear(1)
    for each in (gone, ear):
        bench.chat.feed.listen(bench.room, each)
    bench.chat.feed.leave(bench.room, gone)
    await bench.send()
    await ear.all()
    assert gone.heard == []
