from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from chat.errors import ActionCancelled, Permanent, Transient
from chat.queue.actions import BUILT_IN, ActionType, ActionTypes
from chat.queue.payloads import (
    DeleteMessage,
    EditMessage,
    JoinSpace,
    LeaveSpace,
    React,
    SaveUserConfig,
    SyncSpaceKeys,
    UpdateSpace,
)
from chat.testing import Accept, Hold
from tests.support.chat_queue import message, opened, passing_time
from tests.support.loops import ASYNCIO, on

if TYPE_CHECKING:
    from pathlib import Path


anyio_backend = on(ASYNCIO)  # rules kept in tables; the queue's own loop is tried on both by its neighbours


class Upload(msgspec.Struct):
    name: str


async def test_ten_quick_changes_become_one_save_that_all_of_them_wait_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipts = [
            await bench.queue.enqueue(SaveUserConfig(fields={f"f{number % 4}": number}))
            for number in range(10)
        ]
        bench.clock.advance(seconds=0.5)
        answers = [await receipt.sent() for receipt in receipts]

        assert [each.payload.fields for each in bench.server.effects] == [
            {"f0": 8, "f1": 9, "f2": 6, "f3": 7}
        ]
        assert answers == [{"seq": 1}] * 10


async def test_changes_during_a_save_become_one_more_and_the_last_state_is_never_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipts = [await bench.queue.enqueue(SaveUserConfig(fields={"n": 0}))]
        bench.clock.advance(seconds=0.5)
        await bench.server.until_called()
        receipts += [
            await bench.queue.enqueue(SaveUserConfig(fields={"n": number})) for number in range(1, 10)
        ]
        bench.clock.advance(seconds=0.5)
        release.set()
        for receipt in receipts:
            await receipt.sent()

        assert [each.payload.fields for each in bench.server.effects] == [{"n": 0}, {"n": 9}]


async def test_changes_that_never_end_are_saved_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        for number in range(9):
            await bench.queue.enqueue(SaveUserConfig(fields={"n": number}))
            bench.clock.advance(seconds=0.3)
        await bench.until("done")

        assert bench.server.effects[0].payload.fields["n"] >= 6


async def test_who_waits_for_a_confirmation_skips_the_debounce_with_all_that_waited(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        waiting = await bench.queue.enqueue(SaveUserConfig(fields={"a": 1}))
        now = await bench.queue.enqueue(SaveUserConfig(fields={"b": 2}), delay_s=0)

        assert await now.sent() == await waiting.sent() == {"seq": 1}
        assert bench.server.effects[0].payload.fields == {"a": 1, "b": 2}


async def test_a_debounced_change_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await bench.queue.enqueue(SaveUserConfig(fields={"a": 1}))
    async with opened(tmp_path, clock=bench.clock) as bench, passing_time(bench.clock):
        await bench.until("done")

        assert bench.server.effects[0].payload.fields == {"a": 1}


async def test_an_edit_of_an_unsent_message_is_sent_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        first = await bench.queue.enqueue(message("helo"))
        edit = await bench.queue.enqueue(
            EditMessage(room_id="a", message_id=first.client_id, content="hello")
        )
        again = await bench.queue.enqueue(message("helo"), client_id=first.client_id)
        bench.queue.handle_all(bench.server)

        assert await edit.sent() == await first.sent() == await again.sent() == {"seq": 1}
        assert bench.contents() == ["hello"]
        assert (await bench.queue.find(edit.client_id)).carried_by == first.client_id


async def test_an_edit_by_a_plain_call_right_after_the_message_finds_it(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        first = bench.queue.put(message("helo"))
        edit = bench.queue.put(EditMessage(room_id="a", message_id=first.client_id, content="hello"))
        await edit.durable()
        bench.queue.handle_all(bench.server)
        await edit.sent()

        assert [each.type for each in bench.server.calls] == ["send-message"]


async def test_an_edit_of_a_message_that_is_being_sent_follows_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        first = await bench.queue.enqueue(message("helo"))
        await bench.server.until_called()
        edit = await bench.queue.enqueue(
            EditMessage(room_id="a", message_id=first.client_id, content="hello")
        )
        release.set()
        await edit.sent()

        assert [each.type for each in bench.server.effects] == ["send-message", "edit-message"]


async def test_a_deletion_of_an_unsent_message_calls_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        about: dict[str, Any] = {"room_id": "a"}
        first = await bench.queue.enqueue(message("oops"))
        about["message_id"] = first.client_id
        reaction = await bench.queue.enqueue(React(emoji="+1", **about))
        deletion = await bench.queue.enqueue(DeleteMessage(**about))
        bench.queue.handle_all(bench.server)
        await deletion.sent()
        for receipt in (first, reaction):
            with pytest.raises(ActionCancelled):
                await receipt.sent()
        await (await bench.queue.enqueue(message("next"))).sent()

        assert bench.called() == ["next"]


async def test_joining_and_leaving_again_calls_nobody_when_the_sender_was_no_member(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        await bench.queue.enqueue(JoinSpace(space_id="s", was=False))
        leave = await bench.queue.enqueue(LeaveSpace(space_id="s", was=True))
        bench.queue.handle_all(bench.server)
        await leave.sent()

        assert bench.server.calls == []


async def test_the_newest_set_of_keys_takes_the_place_of_one_that_blocks_its_lane(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Permanent(status=400))
        old = await bench.queue.enqueue(SyncSpaceKeys(keys={"s": "bad"}, version=1))
        await bench.until("failed")
        await bench.queue.enqueue(SyncSpaceKeys(keys={"s": "good"}, version=2))
        await bench.until("done")

        assert [each.payload.version for each in bench.server.effects] == [2]
        assert (await bench.queue.find(old.client_id)).state == "cancelled"


async def test_a_repeated_try_never_collides_with_a_newer_action_about_the_same_thing(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench:
        bench.server.always(lambda each: Transient(status=500) if each.attempt == 1 else Accept())
        first = await bench.queue.enqueue(UpdateSpace(space_id="s", fields={"a": 1, "b": 1}))
        await bench.until("retry_wait")
        second = await bench.queue.enqueue(UpdateSpace(space_id="s", fields={"b": 2}))
        async with passing_time(bench.clock):
            await second.sent()
            await first.sent()

        assert bench.server.effects[-1].payload.fields == {"a": 1, "b": 2}
        assert (await bench.queue.statistics()).processing == 0


async def test_fifty_changed_spaces_cost_no_more_statements_each_than_one(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False, max_waiting_count=5_000) as bench:
        counts: list[int] = []
        tables = bench.queue._engine._tables
        write_all = tables.write_all

        async def counted(named: Any) -> Any:
            counts[-1] += len(named)
            return await write_all(named)

        tables.write_all = counted  # type: ignore[method-assign]
        for space in range(50):
            counts.append(0)
            await bench.queue.enqueue(UpdateSpace(space_id=f"s{space}", fields={"a": 1}))

        assert len(set(counts)) == 1


async def test_changes_that_are_too_large_together_are_saved_one_after_the_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipts = [
            bench.queue.put(SaveUserConfig(fields={name: "x" * 600_000}), delay_s=0.0)
            for name in ("a", "b", "c")
        ]
        with anyio.fail_after(20):
            for receipt in receipts:
                await receipt.sent()

        assert sorted(name for each in bench.server.effects for name in each.payload.fields) == [
            "a",
            "b",
            "c",
        ]


async def test_a_toggle_that_could_not_be_merged_forgets_what_its_sender_saw(tmp_path: Path) -> None:
    types = ActionTypes([*BUILT_IN, ActionType(name="upload", payload=Upload, key=("name",))])
    about: dict[str, Any] = {"room_id": "a", "message_id": "m", "emoji": "+1"}
    async with opened(tmp_path, types=types, handles=False) as bench:
        upload = await bench.queue.enqueue(Upload(name="cat"))
        await bench.queue.enqueue(React(is_on=True, **about))
        off = await bench.queue.enqueue(React(is_on=False, was=True, **about), after=[upload.client_id])

        assert (await bench.queue.find(off.client_id)).payload == React(is_on=False, was=None, **about)
