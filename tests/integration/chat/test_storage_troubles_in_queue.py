"""The disk fails at any step, and what was promised holds; a caller is told what was not stored."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import apsw
import pytest

from chat.errors import QueueFull, Transient
from chat.queue.payloads import React, SaveUserConfig
from chat.testing import Hold, ManualClock, ScriptedServer
from storage import QueryTimedOut, ResultTooLarge, StorageBusy, StorageError, StorageFull, WriteOutcomeUnknown
from tests.support.chat_queue import Bench, message, opened, passing_time
from tests.support.loops import one_loop
from tests.support.recording_vfs import Event, recording
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def failing(bench: Bench, is_meant: Callable[[set[str]], bool], *, after: bool) -> list[set[str]]:
    """Have the next writes that `is_meant` break off, unwritten or (`after`) written; return what they were."""
    tables = bench.queue._engine._tables
    write_all = tables.write_all
    broken: list[set[str]] = []

    async def broken_once(named: Any) -> Any:
        names = {name for name, _ in named}
        if broken or not is_meant(names):
            return await write_all(named)
        broken.append(names)
        if after:
            await write_all(named)
            raise WriteOutcomeUnknown("nobody knows")
        raise StorageFull("no space")

    tables.write_all = broken_once  # type: ignore[method-assign]
    return broken


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["add_action", "claim", "finish", "settle", "release"])
@one_loop
async def test_a_write_that_breaks_off_is_made_up_for_whether_or_not_it_was_done(
    tmp_path: Path, step: str, after: bool
) -> None:
    patient: dict[str, Any] = {"lease_s": 1e6, "call_timeout_s": 1e6}
    async with opened(tmp_path, **patient) as bench, passing_time(bench.clock, step_s=0.05):
        bench.server.script(Transient(status=500))
        broken = failing(bench, lambda names: any(name.startswith(step) for name in names), after=after)
        with anyio.fail_after(20):
            receipts = [bench.queue.put(message(str(n), room=str(n % 3))) for n in range(12)]
            for receipt in receipts:
                await receipt.sent()

        assert len(broken) == 1
        assert len(bench.server.calls) == 13
        for room in ("0", "1", "2"):
            sent = [each.payload.content for each in bench.server.effects if each.payload.room_id == room]
            assert sent == [str(n) for n in range(12) if str(n % 3) == room]
        assert bench.server.asked == []


@one_loop
async def test_actions_that_are_too_large_together_are_claimed_one_by_one(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        tables = bench.queue._engine._tables
        write_all = tables.write_all
        refused_count = 0

        async def small_alone(named: Any) -> Any:
            nonlocal refused_count
            by_name = dict(named)
            if "claim" in by_name and by_name["claim"][4] * by_name["claim"][5] > 1:
                refused_count += 1
                raise ResultTooLarge("the returned rows are too large", limit_bytes=1)
            return await write_all(named)

        receipts = [bench.queue.put(message(f"{n}", room=f"{n % 3}")) for n in range(9)]
        for receipt in receipts:
            await receipt.durable()
        tables.write_all = small_alone  # type: ignore[method-assign]
        bench.queue.handle_all(bench.server)
        with anyio.fail_after(20):
            for receipt in receipts:
                await receipt.sent()

        assert refused_count == 1
        assert [name for name in bench.called() if int(name) % 3 == 0] == ["0", "3", "6"]


@one_loop
async def test_actions_that_are_too_large_to_be_read_together_are_listed_followed_and_waited_for(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, handles=False, claim_count=100) as bench:
        tables = bench.queue._engine._tables
        read = tables.read
        refused: set[str] = set()

        async def three_rows(name: str, params: Any = ()) -> list[tuple[Any, ...]]:
            rows = await read(name, params)
            if len(rows) > 3:
                refused.add(name)
                raise ResultTooLarge("the answer is too large", limit_bytes=1)
            return rows

        receipts = [await bench.queue.enqueue(message(f"{n}")) for n in range(20)]
        ids = [receipt.client_id for receipt in receipts]
        tables.read = three_rows  # type: ignore[method-assign]
        with anyio.fail_after(20):
            events = await bench.until("queued", times=20)
            listed: list[str] = []
            place = 0
            while page := await bench.queue.some(after=place):
                listed += [view.client_id for view in page]
                place = page[-1].place
            bench.queue.handle_all(bench.server)
            for receipt in receipts:
                await receipt.sent()
            ended = await bench.queue._engine._outbox.ends(ids)

        assert [each.client_id for each in events] == listed == ids
        assert sorted(each.client_id for each in ended) == sorted(ids)
        assert refused == {"events", "some", "ends"}


@pytest.mark.parametrize("trouble", [QueryTimedOut, StorageBusy])
async def test_who_follows_a_queue_waits_while_its_file_can_not_be_read(
    tmp_path: Path, trouble: type[StorageError]
) -> None:
    async with opened(tmp_path) as bench:
        tables = bench.queue._engine._tables
        read = tables.read
        broken: set[str] = set()

        async def broken_once(name: str, params: Any = ()) -> list[tuple[Any, ...]]:
            if name not in broken:
                broken.add(name)
                raise trouble("not now")
            return await read(name, params)

        tables.read = broken_once  # type: ignore[method-assign]
        with anyio.fail_after(20):
            news = bench.queue.follow_news(0)
            await anext(news)
            broken.clear()
            receipt = await bench.queue.enqueue(message("1"))
            bench.clock.advance(seconds=1)
            await receipt.sent()
            kinds = [(await anext(news)).name for _ in range(4)]
            await until(lambda: {"events", "counters", "owners"} <= broken)

        assert sorted(kinds) == ["action.calling", "action.done", "action.queued", "queue.updated"]


async def test_payloads_that_are_too_large_together_wait_no_longer_in_memory_than_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.queue.inbox.MAX_UNWRITTEN_BYTES", 1_000)
    async with opened(tmp_path) as bench:
        first = bench.queue.put(message("x" * 1_000))
        with pytest.raises(QueueFull):
            bench.queue.put(message("x"))
        await first.durable()
        await bench.queue.put(message("y")).sent()

        assert bench.called() == ["x" * 1_000, "y"]


@one_loop
async def test_a_queue_in_a_folder_that_is_not_there_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        async with opened(tmp_path / "nowhere"):
            pass


async def test_who_opens_a_queue_does_not_wait_for_ever_for_one_who_never_ends_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.queue.opening.PATIENCE_S", 0.05)
    with (tmp_path / "queue.db-open").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageBusy, match="another process"):
            async with opened(tmp_path):
                pass
    async with opened(tmp_path) as bench:
        await bench.queue.put(message("1")).sent()


@one_loop
async def test_answers_that_are_too_large_together_are_left_out_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.queue.next_turn.MAX_ANSWERS_CHARS", 5)
    async with opened(tmp_path) as bench:
        with anyio.fail_after(20):
            receipt = await bench.queue.enqueue(message("1"))
            assert await receipt.sent() == {"seq": 1}

        found = await bench.queue.find(receipt.client_id)
        assert (found.state, found.result) == ("done", None)


async def test_what_could_not_be_stored_for_too_long_is_refused_and_the_next_one_is_not_held_up(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, enqueue_patience_s=0.01) as bench:
        tables = bench.queue._engine._tables
        write_all = tables.write_all

        async def full(_: Any) -> Any:
            raise StorageFull("no space")

        tables.write_all = full  # type: ignore[method-assign, assignment]
        with anyio.fail_after(20):
            for payload in (message("1"), SaveUserConfig(fields={"a": 1})):
                with pytest.raises(StorageFull):
                    await bench.queue.enqueue(payload)
            tables.write_all = write_all  # type: ignore[method-assign]
            await (await bench.queue.enqueue(message("2"))).sent()

        assert bench.called() == ["2"]


class Disk:
    """Takes nothing more while it is full."""

    def __init__(self) -> None:
        self.is_full = False
        self.refused_count = 0

    def __call__(self, event: Event) -> None:
        if self.is_full and event.kind == "write":
            self.refused_count += 1
            raise apsw.FullError("no space")


@contextmanager
def disk() -> Iterator[Disk]:
    with recording() as record:
        made = Disk()
        record.on_event = made
        yield made


async def test_a_disk_that_is_full_for_a_while_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    with disk() as made:
        async with opened(tmp_path, lease_s=1e6, call_timeout_s=1e6) as bench:
            release = anyio.Event()
            bench.server.script(Hold(release))
            first = await bench.queue.enqueue(message("1"))
            await bench.server.until_called()
            made.is_full = True
            second = bench.queue.put(message("2"))
            release.set()
            await until(lambda: made.refused_count >= 2)
            was_written = second._ticket.is_written
            made.is_full = False
            with anyio.fail_after(20):
                await first.sent()
                await second.sent()

        assert not was_written
        assert bench.called() == ["1", "2"]


async def test_a_queue_can_be_closed_while_the_disk_is_full_and_what_it_could_not_write_is_asked_for(
    tmp_path: Path,
) -> None:
    clock, server, release = ManualClock(), ScriptedServer(), anyio.Event()
    server.script(Hold(release))
    refused: list[Any] = []

    async def full(named: Any) -> Any:
        refused.append(named)
        raise StorageFull("no space")

    with anyio.fail_after(20):
        async with opened(tmp_path, server, clock=clock, stop_grace_s=0.05, settle_s=0.05) as bench:
            receipt = await bench.queue.enqueue(message("1"))
            await server.until_called()
            bench.queue._engine._tables.write_all = full  # type: ignore[method-assign]
            release.set()
            await until(lambda: len(refused) > 0)
    async with opened(tmp_path, server, clock=clock) as bench, passing_time(clock):
        with anyio.fail_after(20):
            await bench.until("done", receipt.client_id)

        assert bench.called() == ["1"]
        assert server.asked == [receipt.client_id]


async def test_what_was_put_before_the_program_was_cancelled_is_stored_all_the_same(tmp_path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with opened(tmp_path, handles=False) as bench:
            for number in range(300):
                bench.queue.put(message(str(number)))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    async with opened(tmp_path) as bench:
        await bench.until("done", times=300)

        assert bench.contents() == [str(number) for number in range(300)]


@one_loop
async def test_a_full_queue_clears_away_what_has_expired_before_it_refuses(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False, max_waiting_count=2, prune_every_s=1e6) as bench:
        for emoji in ("1", "2"):
            await bench.queue.enqueue(React(room_id="a", message_id="m", emoji=emoji))
        with pytest.raises(QueueFull):
            await bench.queue.enqueue(message("too early"))
        bench.clock.advance(seconds=86_401)
        await bench.queue.enqueue(message("now"))

        assert (await bench.queue.statistics()).failed == 2


@one_loop
async def test_a_queue_that_is_fuller_than_its_limit_says_how_full(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        for number in range(5):
            await bench.queue.enqueue(message(str(number)))
    async with opened(tmp_path, handles=False, max_waiting_count=3) as bench:
        with pytest.raises(QueueFull) as caught:
            await bench.queue.enqueue(message("too many"))

        assert (caught.value.limit, caught.value.size) == (3, 5)
