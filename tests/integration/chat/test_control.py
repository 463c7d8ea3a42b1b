from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chat.errors import (
    ActionCancelled,
    ActionFailed,
    ActionNotFound,
    InvalidAction,
    NotPossible,
    Permanent,
    Transient,
)
from chat.queue.payloads import PinMessage, UpdateProfile
from chat.testing import Accept, Hold, LoseAnswer
from tests.support.chat_queue import message, opened, passing_time
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_queued_action_that_is_taken_back_is_never_sent_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, handles=False) as bench:
        first = await bench.queue.enqueue(message("1"))
        second = await bench.queue.enqueue(message("2"))

        assert await bench.queue.cancel(first.client_id) == "cancelled"
        bench.queue.handle_all(bench.server)
        await second.sent()
        with pytest.raises(ActionCancelled):
            await first.sent()
        assert bench.called() == ["2"]


@one_loop
async def test_it_is_too_late_for_an_action_that_is_done(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        receipt = await bench.queue.enqueue(UpdateProfile(fields={"name": "Ann"}))
        await receipt.sent()

        assert await bench.queue.cancel(receipt.client_id) == "too_late"
        with pytest.raises(ActionNotFound):
            await bench.queue.cancel("nobody")


async def test_a_message_that_is_being_sent_is_deleted_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipt = await bench.queue.enqueue(message("oops"))
        await bench.server.until_called()
        answer = await bench.queue.cancel(receipt.client_id)
        release.set()
        await receipt.sent()
        await bench.until("done", times=2)

        assert answer == "will_redact"
        assert [each.type for each in bench.server.effects] == ["send-message", "delete-message"]


async def test_what_is_claimed_but_has_not_begun_can_still_be_taken_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        receipts = [bench.queue.put(message(str(number))) for number in range(3)]
        bench.server.script(Hold(release))
        await bench.server.until_called()
        answers = []
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                answers.append(await bench.queue.cancel(receipts[1].client_id))

            group.start_soon(cancel)
            await until(lambda: bool(next(iter(bench.queue._engine.runner._lanes.by_id.values())).withdrawn))
            release.set()

        await receipts[2].sent()
        assert answers == ["cancelled"]
        assert bench.called() == ["0", "2"]


async def test_an_action_of_unknown_outcome_is_asked_for_before_anybody_says_it_was_taken_back(
    tmp_path: Path,
) -> None:
    for has_effect, answer in ((True, "too_late"), (False, "cancelled")):
        async with opened(tmp_path) as bench, passing_time(bench.clock):
            bench.server.script(LoseAnswer(has_effect=has_effect))
            receipt = await bench.queue.enqueue(message("1"))
            await bench.server.until_called()

            assert await bench.queue.cancel(receipt.client_id, redact=False) == answer
            assert len(bench.server.effects) == has_effect


@one_loop
async def test_a_failed_message_can_be_tried_again_and_be_taken_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Permanent(status=403), Permanent(status=403))
        first = await bench.queue.enqueue(message("1"))
        second = await bench.queue.enqueue(message("2"))
        for receipt in (first, second):
            with pytest.raises(ActionFailed):
                await receipt.sent()
        await bench.queue.retry(first.client_id)
        await bench.until("done", first.client_id)
        answer = await bench.queue.cancel(second.client_id)

        assert answer == "cancelled"
        assert bench.contents() == ["1"]
        with pytest.raises(NotPossible) as caught:
            await bench.queue.retry(first.client_id)
        assert caught.value.state == "done"


@one_loop
async def test_all_that_failed_can_be_tried_again_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, max_waiting_count=2_000) as bench:
        bench.server.always(lambda _: Permanent(status=403))
        receipts = [bench.queue.put(message(str(number), room=str(number % 9))) for number in range(450)]
        for receipt in receipts:
            with pytest.raises(ActionFailed):
                await receipt.sent()
        bench.server.always(None)
        assert await bench.queue.retry_failed(type_name="reaction") == 0
        count = await bench.queue.retry_failed(type_name="send-message", account="")
        await bench.until("done", times=450)

        assert count == 450
        for room in range(9):
            sent = [
                each.payload.content for each in bench.server.effects if each.payload.room_id == str(room)
            ]
            assert sent == [str(number) for number in range(450) if number % 9 == room]


async def test_a_retry_by_hand_does_not_wait_for_its_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Transient(status=500))
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("retry_wait")
        await until(lambda: not bench.queue._engine.runner._lanes.by_id)
        why = await bench.queue.explain(receipt.client_id)
        await bench.queue.retry(receipt.client_id)

        await receipt.sent()
        assert (why.text, why.wait_ms) == ("it waits to be tried again after 500", 1000)


@one_loop
async def test_a_message_that_nobody_has_seen_can_be_changed_and_keeps_its_place(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        first = await bench.queue.enqueue(message("helo"))
        second = await bench.queue.enqueue(message("world"))
        await bench.queue.amend(first.client_id, message("hello"))
        with pytest.raises(InvalidAction):
            await bench.queue.amend(first.client_id, message("hello", room="other"))
        with pytest.raises(InvalidAction):
            await bench.queue.amend(first.client_id, PinMessage(room_id="a", message_id="m"))
        bench.queue.handle_all(bench.server)
        await second.sent()

        assert bench.contents() == ["hello", "world"]
        with pytest.raises(NotPossible):
            await bench.queue.amend(first.client_id, message("again"))


@one_loop
async def test_a_paused_lane_waits_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        paused = await bench.queue.enqueue(message("1", room="quiet"))
        lane = (await bench.queue.find(paused.client_id)).lane
        await bench.queue.pause_lane(lane)
        bench.queue.handle_all(bench.server)
        await (await bench.queue.enqueue(message("2", room="loud"))).sent()
        why = await bench.queue.explain(paused.client_id)
        await bench.queue.resume_lane(lane)

        await paused.sent()
        assert why.text == "its lane is paused"
        assert bench.called() == ["2", "1"]
        with pytest.raises(ActionNotFound):
            await bench.queue.pause_lane("nothing")


@one_loop
async def test_the_queue_lists_what_it_holds_by_state_type_lane_and_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.always(lambda each: Permanent(status=403) if each.payload.content == "bad" else Accept())
        good = bench.queue.put(message("good"), account="ann")
        bad = bench.queue.put(message("bad"), account="bob")
        await good.sent()
        with pytest.raises(ActionFailed):
            await bad.sent()

        async def ids(**which: Any) -> list[str]:
            return [each.client_id for each in await bench.queue.some(**which)]

        assert await ids() == [good.client_id, bad.client_id]
        assert await ids(state="failed") == [bad.client_id]
        assert await ids(account="ann", type_name="send-message") == [good.client_id]
        assert await ids(lane="messages/bob/a") == [bad.client_id]
        (first,) = await bench.queue.some(count=1)
        assert await ids(after=first.place) == [bad.client_id]


@one_loop
async def test_an_action_says_behind_how_many_it_waits(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        receipts = [await bench.queue.enqueue(message(str(number))) for number in range(5)]
        why = await bench.queue.explain(receipts[4].client_id)
        first = await bench.queue.explain(receipts[0].client_id)
        bench.queue.go_offline()
        bench.queue.handle_all(bench.server)
        offline = await bench.queue.explain(receipts[0].client_id)

        assert (why.ahead_count, why.behind) == (4, receipts[0].client_id)
        assert first.text == "nobody here delivers actions of the type send-message"
        assert offline.text == "it waits for a connection"
