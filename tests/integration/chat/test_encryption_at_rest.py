"""Payloads are sealed while they wait, keys come and go while the queue runs, and nothing of a payload stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import apsw
import pytest

from chat.errors import ClientIdConflict, Permanent, Transient
from chat.queue.payloads import EditMessage, SaveUserConfig
from chat.queue.sealing import CannotSeal
from chat.testing import Hold
from tests.support.chat_queue import message, opened
from tests.support.loops import ASYNCIO, on
from tests.support.seals import KeysSeal
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

anyio_backend = on(ASYNCIO)  # rules kept in tables; the queue's own loop is tried on both by its neighbours

PRIVATE = "nobody is to read this again"


async def bytes_in(folder: Path) -> bytes:
    found = b""
    async for path in anyio.Path(folder).glob("queue.db*"):
        if await path.is_file():
            found += await path.read_bytes()
    return found


async def test_nothing_of_a_payload_is_in_the_files_while_it_waits_sealed(tmp_path: Path) -> None:
    async with opened(tmp_path, seal=KeysSeal("k1"), handles=False) as bench:
        await bench.queue.enqueue(message(PRIVATE))
        await bench.queue.enqueue(SaveUserConfig(fields={"note": PRIVATE}))
        await bench.queue.enqueue(SaveUserConfig(fields={"other": PRIVATE}))

        assert PRIVATE.encode() not in await bytes_in(tmp_path)


@pytest.mark.parametrize("text", [PRIVATE, PRIVATE * 1_000], ids=["small", "of many pages"])
async def test_nothing_of_a_plain_payload_is_in_the_file_once_it_is_done_or_taken_back(
    tmp_path: Path, text: str
) -> None:
    async with opened(tmp_path, handles=False) as bench:
        sent = bench.queue.put(message(text))
        taken_back = await bench.queue.enqueue(message(text))
        edited = await bench.queue.enqueue(message("short", room="b"))
        await bench.queue.enqueue(EditMessage(room_id="b", message_id=edited.client_id, content=text))
        await bench.queue.cancel(taken_back.client_id)
        before = await bytes_in(tmp_path)
        bench.queue.handle_all(bench.server)
        await sent.sent()
        await edited.sent()

    assert PRIVATE.encode() in before
    assert PRIVATE.encode() not in await bytes_in(tmp_path)


async def test_a_rotation_while_the_queue_runs_brings_all_under_the_new_key_and_the_old_one_can_go(
    tmp_path: Path,
) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal) as bench:
        bench.server.script(Permanent(status=403))
        failed = await bench.queue.enqueue(message("failed", room="b"))
        await bench.until("failed")
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipts = [await bench.queue.enqueue(message(str(number))) for number in range(250)]
        await bench.server.until_called(2)
        before = await bench.queue.keys_in_use()
        seal.add("k2")
        late = await bench.queue.enqueue(message("late"))
        await bench.queue.keys_changed()
        during = await bench.queue.keys_in_use()
        seal.add("k3")
        await bench.queue.keys_changed()
        again = await bench.queue.keys_in_use()
        seal.take_away("k1")
        seal.take_away("k2")
        release.set()
        await bench.queue.retry(failed.client_id)
        for receipt in (*receipts, late):
            await receipt.sent()
        await bench.until("done", failed.client_id)

    assert before == {"k1": 252}
    assert during == {"k2": 253}
    assert again == {"k3": 253}
    assert [text for text in bench.contents() if text != "failed"] == [*map(str, range(250)), "late"]


async def test_what_was_stored_before_the_queue_had_a_seal_is_sealed_too(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        for number in range(5):
            await bench.queue.enqueue(message(f"{PRIVATE} {number}"))
    async with opened(tmp_path, seal=KeysSeal("k1"), handles=False) as bench:
        await bench.queue.keys_changed()
        keys = await bench.queue.keys_in_use()
        bench.queue.handle_all(bench.server)
        await bench.until("done", times=5)

    assert keys == {"k1": 6}
    assert bench.contents() == [f"{PRIVATE} {number}" for number in range(5)]


async def test_what_is_sealed_with_a_key_that_is_away_is_held_and_shown_and_goes_on_in_its_place(
    tmp_path: Path,
) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal, handles=False) as bench:
        first = await bench.queue.enqueue(message("1"))
    seal.add("k2")
    seal.take_away("k1")
    async with opened(tmp_path, seal=seal, clock=bench.clock) as bench:
        await bench.until("paused")
        second = await bench.queue.enqueue(message("2"))
        bench.clock.advance(seconds=31)
        await bench.until("paused", times=2)
        shown = await bench.queue.find(first.client_id)
        why = await bench.queue.explain(second.client_id)
        calls_count = len(bench.server.calls)
        seal.bring_back("k1")
        await until(lambda: not bench.queue._engine.runner._lanes.by_id)
        await bench.queue.keys_changed()
        await second.sent()

    assert (shown.state, shown.payload, shown.failure and shown.failure.code) == (
        "paused",
        None,
        "key_unavailable",
    )
    assert why.text.startswith("it is behind send-message, which is paused: key_unavailable")
    assert calls_count == 0
    assert bench.contents() == ["1", "2"]


async def test_a_payload_that_was_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal, handles=False) as bench:
        first = await bench.queue.enqueue(message("to the boss", room="a"))
        second = await bench.queue.enqueue(message("to a friend", room="b"))
        database = bench.queue._engine._tables._database
        await database.execute(
            "UPDATE action SET payload = (SELECT payload FROM action AS other WHERE client_id = ?) WHERE client_id = ?",
            [second.client_id, first.client_id],
        )
        bench.queue.handle_all(bench.server)
        await second.sent()
        await bench.until("paused", first.client_id)

    assert bench.contents() == ["to a friend"]


async def test_an_action_of_unknown_outcome_that_can_not_be_opened_is_asked_about_when_it_can(
    tmp_path: Path,
) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal, stop_grace_s=0.001) as bench:
        bench.server.script(Transient(status=500))
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("retry_wait")
        database = bench.queue._engine._tables._database
        await until(lambda: not bench.queue._engine.runner._lanes.by_id)
        await database.execute("UPDATE action SET state = 'uncertain', was_called = 1")
        seal.add("k2")
        seal.take_away("k1")
        bench.clock.advance(seconds=2)
        await until(lambda: not bench.queue._engine.runner._lanes.by_id)
        seal.bring_back("k1")
        bench.clock.advance(seconds=31)
        await receipt.sent()

    assert bench.server.asked == [receipt.client_id]


async def test_without_a_key_nothing_is_taken_and_the_caller_is_told(tmp_path: Path) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal) as bench:
        seal.take_away("k1")
        with pytest.raises(CannotSeal):
            bench.queue.put(message("1"))
        seal.bring_back("k1")
        await (await bench.queue.enqueue(message("2"))).sent()


async def test_a_change_that_can_not_be_merged_for_want_of_a_key_is_refused_and_the_queue_goes_on(
    tmp_path: Path,
) -> None:
    seal = KeysSeal("k1")
    async with opened(tmp_path, seal=seal) as bench:
        change = bench.queue.put(SaveUserConfig(fields={"a": 1}))
        seal.take_away("k1")
        with pytest.raises(CannotSeal):
            await change.durable()
        seal.bring_back("k1")
        await (await bench.queue.enqueue(message("2"))).sent()


async def test_digests_tell_nothing_to_who_guesses_a_payload_and_stay_the_same_through_rotations(
    tmp_path: Path,
) -> None:
    def digest_in(path: Path) -> Any:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        return connection.execute("SELECT digest FROM action").get

    digests = []
    for number in (1, 2):
        seal = KeysSeal("k1")
        folder = tmp_path / str(number)
        await anyio.Path(folder).mkdir()
        async with opened(folder, seal=seal) as bench:
            await (await bench.queue.enqueue(message("yes"), client_id="draft")).sent()
        digests.append(digest_in(folder / "queue.db"))
        seal.add("k2")
        async with opened(folder, seal=seal) as bench:
            await bench.queue.keys_changed()
            seal.take_away("k1")
        async with opened(folder, seal=seal) as bench:
            assert await (await bench.queue.enqueue(message("yes"), client_id="draft")).sent() == {"seq": 1}
            with pytest.raises(ClientIdConflict):
                await bench.queue.enqueue(message("no"), client_id="draft")

    assert digests[0] != digests[1]


async def test_two_processes_of_which_one_knows_the_newest_key_do_not_reseal_to_and_fro(
    tmp_path: Path,
) -> None:
    old, new = KeysSeal("k1"), KeysSeal()
    new._keys = old._keys.copy()
    async with opened(tmp_path, seal=old, handles=False) as first, opened(tmp_path, seal=new) as second:
        second.queue.go_offline()
        await first.queue.enqueue(message("1"))
        await first.queue.keys_changed()
        new.add("k2")
        old._keys = {
            "k2": new._keys["k2"],
            **old._keys,
        }  # it can open the newest, and seals with the older one
        await second.queue.keys_changed()
        await first.queue.keys_changed()

        assert await first.queue.keys_in_use() == {"k2": 2}
