from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from chat.errors import ActionCancelled, Permanent, Transient
from chat.queue.actions import BUILT_IN, ActionType, ActionTypes
from chat.queue.payloads import React, UpdateProfile
from chat.testing import Accept, Hold
from tests.support.chat_queue import message, opened, passing_time
from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


anyio_backend = on(ASYNCIO)  # rules kept in tables; the queue's own loop is tried on both by its neighbours


class Upload(msgspec.Struct):
    name: str


def types() -> ActionTypes:
    return ActionTypes([*BUILT_IN, ActionType(name="upload", payload=Upload, key=("name",))])


async def test_a_message_waits_for_its_upload_and_the_text_behind_it_does_not(tmp_path: Path) -> None:
    async with opened(tmp_path, types=types()) as bench:
        release = anyio.Event()
        bench.server.always(lambda each: Hold(release) if each.type == "upload" else Accept())
        upload = await bench.queue.enqueue(Upload(name="cat"))
        picture = await bench.queue.enqueue(message("a cat"), after=[upload.client_id])
        text = await bench.queue.enqueue(message("look"))
        await text.sent()
        why = await bench.queue.explain(picture.client_id)
        release.set()
        await picture.sent()

        assert why.text == "it needs upload, which is calling"
        assert why.behind == upload.client_id
        assert [each.type for each in bench.server.effects] == ["send-message", "upload", "send-message"]


async def test_an_action_that_needs_several_waits_for_the_last_of_them(tmp_path: Path) -> None:
    async with opened(tmp_path, types=types(), lease_s=3_600) as bench:
        bench.server.script(Accept(), Transient(status=500))
        first = await bench.queue.enqueue(Upload(name="1"))
        await first.sent()
        second = await bench.queue.enqueue(Upload(name="2"))
        third = bench.queue.put(Upload(name="3"))
        needing = bench.queue.put(
            message("both"), after=[first.client_id, second.client_id, third.client_id, "unknown"]
        )
        async with passing_time(bench.clock):
            await needing.sent()

        assert [each.type for each in bench.server.effects] == ["upload"] * 3 + ["send-message"]


async def test_what_needs_an_action_that_was_taken_back_is_taken_back_with_it_however_far(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, types=types(), handles=False) as bench:
        upload = await bench.queue.enqueue(Upload(name="cat"))
        needing = [await bench.queue.enqueue(message("0"), after=[upload.client_id])]
        for number in range(1, 4):
            receipt = await bench.queue.enqueue(message(str(number)), after=[needing[-1].client_id])
            needing.append(receipt)
        await bench.queue.cancel(upload.client_id)
        bench.queue.handle_all(bench.server)

        for receipt in needing:
            with pytest.raises(ActionCancelled, match="needed_action_gone"):
                await receipt.sent()
        assert bench.server.calls == []


async def test_what_needs_a_failed_action_waits_until_that_is_tried_again(tmp_path: Path) -> None:
    async with opened(tmp_path, types=types()) as bench:
        bench.server.script(Permanent(status=413))
        upload = await bench.queue.enqueue(Upload(name="cat"))
        needing = await bench.queue.enqueue(message("a cat"), after=[upload.client_id])
        await bench.until("failed")
        why = await bench.queue.explain(needing.client_id)
        await bench.queue.retry(upload.client_id)

        await needing.sent()
        assert why.text == "it needs upload, which is failed: 413"


async def test_a_reaction_waits_for_its_message(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench:
        bench.server.script(Transient(status=500))
        sent = await bench.queue.enqueue(message("1"))
        reaction = await bench.queue.enqueue(React(room_id="a", message_id=sent.client_id, emoji="+1"))
        async with passing_time(bench.clock):
            await reaction.sent()

        assert [each.type for each in bench.server.effects] == ["send-message", "reaction"]


async def test_a_delayed_action_waits_outside_of_its_lane(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        later = await bench.queue.enqueue(message("later"), delay_s=3600)
        await (await bench.queue.enqueue(message("now"))).sent()
        why = await bench.queue.explain(later.client_id)
        bench.clock.advance(seconds=3599)
        await anyio.wait_all_tasks_blocked()
        called = bench.called()
        bench.clock.advance(seconds=1)

        await later.sent()
        assert called == ["now"]
        assert (why.text, why.wait_ms) == ("it waits until its time", 3_600_000)


async def test_a_jump_of_the_wall_clock_neither_holds_up_nor_hurries_anything(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500))
        tried = await bench.queue.enqueue(message("1"))
        await bench.until("retry_wait")
        delayed = await bench.queue.enqueue(message("2", room="b"), delay_s=60)
        bench.clock.jump(seconds=-86_400)
        bench.clock.advance(seconds=1)
        await tried.sent()
        bench.clock.jump(seconds=+900_000)
        bench.clock.advance(seconds=58)
        await anyio.wait_all_tasks_blocked()
        called = bench.called()
        bench.clock.advance(seconds=1)

        await delayed.sent()
        assert called == ["1", "1"]


async def test_after_a_restart_of_the_machine_boot_times_mean_nothing_and_delays_go_on(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500))
        await bench.queue.enqueue(message("1"))
        await bench.until("retry_wait")
        await until(lambda: not bench.queue._engine.runner._lanes.by_id)
        await bench.queue.enqueue(message("2", room="b"), delay_s=600)
    booted = type(bench.clock)("boot 2")
    booted.jump(seconds=100)
    booted.advance(seconds=-3_599)
    booted.jump(seconds=+3_599)
    async with opened(tmp_path, clock=booted) as bench:
        await bench.until("done")
        booted.advance(seconds=499)
        await anyio.wait_all_tasks_blocked()
        called = bench.called()
        booted.advance(seconds=2)
        await bench.until("done", times=2)

        assert called == ["1"]
        assert bench.called() == ["1", "2"]


async def test_a_lane_of_higher_priority_goes_first_but_not_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False, concurrency=1, claim_count=1, ageing_s=30) as bench:
        await bench.queue.enqueue(UpdateProfile(fields={"a": 1}))
        await bench.queue.enqueue(message("quick"))
        bench.queue.handle_all(bench.server)
        await bench.until("done", times=2)
        first = [each.type for each in bench.server.effects]
    async with opened(
        tmp_path, handles=False, concurrency=1, claim_count=1, ageing_s=30, clock=bench.clock
    ) as bench:
        await bench.queue.enqueue(UpdateProfile(fields={"a": 2}))
        bench.clock.advance(seconds=61)
        await bench.queue.enqueue(message("late"))
        bench.queue.handle_all(bench.server)
        await bench.until("done", times=4)

        assert first == ["send-message", "update-profile"]
        assert [each.type for each in bench.server.effects] == ["update-profile", "send-message"]


async def test_what_needs_an_action_that_was_taken_back_before_is_taken_back_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, types=types(), handles=False) as bench:
        upload = await bench.queue.enqueue(Upload(name="cat"))
        await bench.queue.cancel(upload.client_id)
        late = await bench.queue.enqueue(message("a cat"), after=[upload.client_id])

        with anyio.fail_after(10), pytest.raises(ActionCancelled, match="needed_action_gone"):
            await late.sent()


async def test_what_needs_an_action_that_was_merged_waits_for_the_one_that_carries_it(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        carrier = await bench.queue.enqueue(UpdateProfile(fields={"name": "Ann"}))
        merged = await bench.queue.enqueue(UpdateProfile(fields={"mood": "good"}))
        needing = await bench.queue.enqueue(message("I am Ann"), after=[merged.client_id])
        why = await bench.queue.explain(needing.client_id)
        bench.queue.handle_all(bench.server)
        with anyio.fail_after(10):
            await needing.sent()

        assert why.behind == carrier.client_id
        assert [each.type for each in bench.server.effects] == ["update-profile", "send-message"]


async def test_a_change_that_replaces_the_one_it_was_to_come_after_does_not_wait_for_itself(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench:
        bench.server.script(Transient(status=500))
        first = await bench.queue.enqueue(UpdateProfile(fields={"name": "Ann"}))
        await bench.until("retry_wait")
        second = await bench.queue.enqueue(UpdateProfile(fields={"name": "Bob"}), after=[first.client_id])
        async with passing_time(bench.clock):
            with anyio.fail_after(10):
                await second.sent()

        assert bench.server.effects[-1].payload.fields == {"name": "Bob"}


async def test_a_change_that_waits_for_something_is_not_merged_into_one_that_does_not(tmp_path: Path) -> None:
    async with opened(tmp_path, types=types()) as bench:
        release = anyio.Event()
        bench.server.always(lambda each: Hold(release) if each.type == "upload" else Accept())
        upload = await bench.queue.enqueue(Upload(name="me"))
        bench.queue.go_offline()
        plain = await bench.queue.enqueue(UpdateProfile(fields={"name": "Ann"}))
        picture = await bench.queue.enqueue(UpdateProfile(fields={"picture": "me"}), after=[upload.client_id])
        later = await bench.queue.enqueue(UpdateProfile(fields={"mood": "good"}))
        bench.queue.go_online()
        with anyio.fail_after(10):
            await plain.sent()
            before = [dict(each.payload.fields) for each in bench.server.effects]
            release.set()
            for receipt in (picture, later):
                await receipt.sent()
        after: dict[str, str] = {}
        for effect in bench.server.effects:
            if effect.type == "update-profile":
                after.update(effect.payload.fields)

        assert all("picture" not in fields for fields in before)
        assert after == {"name": "Ann", "picture": "me", "mood": "good"}


async def test_no_delay_outlasts_itself_when_the_clock_was_set_back_before_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        await bench.queue.enqueue(message("1"), delay_s=60)
    booted = type(bench.clock)("boot 2")
    booted.jump(seconds=-500_000)
    async with opened(tmp_path, clock=booted) as bench:
        booted.advance(seconds=61)
        with anyio.fail_after(10):
            await bench.until("done")
