"""Sends that come together are stored together, and each is answered as if it had come alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.domain import gathered_sends
from chat.domain.limits import ChatLimits
from chat.domain.refusals import ClientIdReused, Muted, NotFound
from chat.domain.sending import Ack, Order
from storage import StorageBusy, StorageSaturated
from tests.support.chat_domain import open_bench
from tests.support.loops import BOTH, on
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench

anyio_backend = on(BOTH)

LIMIT_S = 20

Send = Callable[[], Coroutine[Any, Any, Ack]]


class Writer:
    """The writer as the domain asks it: it is held until all sends have begun, and says what it was asked."""

    def __init__(self, bench: ChatBench) -> None:
        self.names: list[str] = []
        self.failure: Exception | None = None
        self._tables: Any = bench.chat.tables
        self._write, self._write_all = self._tables.write, self._tables.write_all
        self._held: list[anyio.Event] | None = []

    async def write(self, name: str, *params: Any) -> Any:
        self.names.append(name)
        await self._released()
        return await self._write(name, *params)

    async def write_all(self, steps: Any) -> Any:
        self.names.append("+".join(name for name, _ in steps))
        await self._released()
        if self.failure is not None:
            raise self.failure
        return await self._write_all(steps)

    async def _released(self) -> None:
        if self._held is not None:
            self._held.append(anyio.Event())
            await self._held[-1].wait()

    async def together(self, *sends: Send) -> list[Ack | Exception]:
        """Begin `sends`, one after the other, before any is stored; return what became of each."""
        outcomes: dict[int, Ack | Exception] = {}

        async def run(place: int, send: Send) -> None:
            try:
                outcomes[place] = await send()
            except Exception as error:  # noqa: BLE001 - what a test looks at
                outcomes[place] = error

        self._tables.write, self._tables.write_all = self.write, self.write_all
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                for place, send in enumerate(sends):
                    tasks.start_soon(run, place, send)
                    await _turns()
                held, self._held = self._held, None
                for each in held or ():
                    each.set()
                    await _turns()
        del self._tables.write, self._tables.write_all
        return [outcomes[place] for place in range(len(sends))]


async def _turns() -> None:
    """Let others run as far as they can without the writer."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


async def together(bench: ChatBench, *sends: Send) -> list[Ack | Exception]:
    """Store `sends` together; see `Writer.together`."""
    return await Writer(bench).together(*sends)


async def test_forty_sends_at_once_are_four_requests_to_the_writer(bench: ChatBench) -> None:
    writer = Writer(bench)
    acks = await writer.together(*[partial(bench.send, f"{number}") for number in range(40)])
    assert writer.names == ["send", *3 * ["send_together"]]
    assert [ack.seq for ack in acks if isinstance(ack, Ack)] == list(range(1, 41))
    assert [each["content"] for each in await bench.messages()] == [f"{number}" for number in range(40)]
    assert [event["kind"] for event in await bench.events()] == 40 * ["message.created"]


async def test_numbered_sends_take_their_numbers_in_the_same_request(bench: ChatBench) -> None:
    writer = Writer(bench)
    numbers = [1, 2, 3, 6, 5, 4]
    acks = await writer.together(*[partial(bench.send, f"{n}", order=Order("s", n)) for n in numbers])
    assert writer.names == ["ordered+send", *3 * ["order_together+send_together"]]
    assert [ack.seq for ack in acks if isinstance(ack, Ack)] == numbers
    assert [each["content"] for each in await bench.messages()] == ["1", "2", "3", "4", "5", "6"]


async def test_who_waits_for_its_turn_is_told_when_others_took_theirs_together(tmp_path: Path) -> None:
    patient = ChatLimits(out_of_turn_patience_s=3 * LIMIT_S)  # who is not told waits too long for this test
    async with open_bench(tmp_path / "chat.db", limits=patient) as bench:
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(bench.send, "3", order=Order("s", 3)))
                await until(lambda: bench.chat.sending._turns.waiting_count == 1)
                for number in (1, 2):
                    tasks.start_soon(partial(bench.send, f"{number}", order=Order("s", number)))
        assert [each["content"] for each in await bench.messages()] == ["1", "2", "3"]


async def test_a_numbered_send_that_came_too_early_waits_while_those_beside_it_go_on(
    bench: ChatBench,
) -> None:
    acks = await together(
        bench,
        partial(bench.send, "first"),
        partial(bench.send, "third", order=Order("s", 3)),
        partial(bench.send, "one", order=Order("s", 1)),
        partial(bench.send, "beside"),
        partial(bench.send, "second", order=Order("s", 2), client_id="again"),
        partial(bench.send, "second", order=Order("s", 2), client_id="again"),
    )
    assert not [each for each in acks if isinstance(each, Exception)]
    contents = [each["content"] for each in await bench.messages()]
    assert sorted(contents) == ["beside", "first", "one", "second", "third"]
    assert [each for each in contents if each in {"one", "second", "third"}] == ["one", "second", "third"]


async def test_refused_sends_are_refused_alone_and_take_no_number_of_the_room(bench: ChatBench) -> None:
    await bench.chat.moderation.mute(bench.ann, "m", bench.space, bench.bob, until_ms=10**14)
    await bench.send("before", client_id="used")
    outcomes = await together(
        bench,
        partial(bench.send, "1"),
        partial(bench.send, "no member", sender=bench.eve),
        partial(bench.send, "2"),
        partial(bench.send, "muted", sender=bench.bob),
        partial(bench.send, "answer to nothing", reply_to=999, order=Order("s", 1)),
        partial(bench.send, "no such room", room=999, order=Order("t", 1)),
        partial(bench.send, "another", client_id="used"),
        partial(bench.send, "3", order=Order("s", 2)),
        partial(bench.send, "before", client_id="used"),
    )
    kinds = [type(each) for each in outcomes]
    assert kinds == [Ack, NotFound, Ack, Muted, NotFound, NotFound, ClientIdReused, Ack, Ack]
    assert isinstance(outcomes[-1], Ack)
    assert outcomes[-1].duplicate
    found = await bench.messages()
    assert [each["seq"] for each in found] == [1, 2, 3, 4]
    assert found[0]["content"] == "before"
    assert {each["content"] for each in found[1:]} == {"1", "2", "3"}  # sent beside each other: in any order


async def test_mentions_and_replies_are_stored_as_of_a_send_alone(bench: ChatBench) -> None:
    first = await bench.send("hello")
    await together(
        bench,
        partial(bench.send, "alone"),
        partial(bench.send, f"<@{bench.bob}> and <@{bench.eve}>", reply_to=int(first.id)),
        partial(bench.send, f"<@{bench.eve}>"),
    )
    found = await bench.messages()
    assert [each["mentions"] for each in found] == [None, None, [str(bench.bob)], None]
    assert [each["reply_to"] for each in found] == [None, None, first.id, None]


async def test_when_the_writer_is_busy_each_is_told_so_and_may_come_again(bench: ChatBench) -> None:
    writer = Writer(bench)
    writer.failure = StorageBusy("somebody else writes")
    sends = [partial(bench.send, f"{number}", client_id=f"{number}") for number in range(5)]
    outcomes = await writer.together(*sends)
    assert [type(each) for each in outcomes] == [Ack, *4 * [StorageBusy]]
    assert len({id(each) for each in outcomes}) == len(outcomes)
    assert all(isinstance(each, Ack) for each in await together(bench, *sends))
    assert len(await bench.messages()) == 5


async def test_beyond_the_bound_a_send_is_refused_and_nothing_is_stored(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_sends, "MAX_WAITING_COUNT", 3)
    outcomes = await together(bench, *[partial(bench.send, f"{number}") for number in range(7)])
    assert [type(each) for each in outcomes] == [*6 * [Ack], StorageSaturated]
    assert len(await bench.messages()) == 6


async def test_who_leaves_holds_nobody_up(bench: ChatBench) -> None:
    acks: list[Ack] = []

    async def send(content: str) -> None:
        acks.append(await bench.send(content))

    async with anyio.create_task_group() as others:
        others.start_soon(send, "1")
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(send, "leaves")
            others.start_soon(send, "2")
            await anyio.lowlevel.checkpoint()
            leaving.cancel_scope.cancel()
    contents = [each["content"] for each in await bench.messages()]
    assert sorted(each for each in contents if each != "leaves") == ["1", "2"]
    assert {ack.seq for ack in acks} == {contents.index("1") + 1, contents.index("2") + 1}


async def test_what_has_gathered_is_stored_before_the_chat_closes(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db") as bench, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(bench.send, f"{number}")
        await anyio.lowlevel.checkpoint()
        bench.chat.sending.close()
    async with open_bench(tmp_path / "other.db") as bench:
        bench.chat.sending.close()
        assert (await bench.send("alone")).seq == 1


@given(contents=st.lists(st.text(max_size=40), min_size=2, max_size=12))
@settings(max_examples=6, deadline=None)
def test_any_text_is_stored_as_it_came(contents: list[str], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("chat")

    async def stored() -> list[str]:
        async with open_bench(folder / "chat.db") as bench:
            await together(bench, *[partial(bench.send, each) for each in contents])
            return [each["content"] for each in await bench.messages()]

    assert anyio.run(stored) == contents
