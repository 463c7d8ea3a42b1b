"""What every store of messages does alike: one suite for durable, memory and direct, on asyncio and on trio.

What needs a queue (retries, waiting for a connection or a login) is asked of the two stores that have one.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from typing_extensions import override

from chat import (
    BUILT_IN,
    ActionCancelled,
    ActionExpired,
    ActionFailed,
    ActionNotFound,
    ActionTypes,
    AuthExpired,
    ClientIdConflict,
    DeleteMessage,
    Failure,
    InvalidAction,
    MessageFailed,
    MessageQueued,
    MessageRetrying,
    MessageSent,
    MessageStatus,
    NotPossible,
    Permanent,
    QueueClosed,
    QueueFull,
    SessionExpired,
    TargetGone,
    Transient,
    Unreachable,
)
from chat.testing import Accept, Hold, LoseAnswer, ManualClock, ScriptedServer
from tests.support.chat_messages import MessageBench, Store, opened_messages
from tests.support.chat_queue import passing_time
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

NOW_S = 1_700_000_000.0
"""Where a `ManualClock` begins."""


@pytest.fixture(params=["durable", "memory", "direct"])
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.param
    return chosen


@pytest.fixture(params=["memory", "direct"])
def unkept_store(request: pytest.FixtureRequest) -> Store:
    """The stores that forget by themselves what ended long ago."""
    chosen: Store = request.param
    return chosen


@pytest.fixture(params=["durable", "memory"])
def queued_store(request: pytest.FixtureRequest) -> Store:
    """The stores that are queues."""
    chosen: Store = request.param
    return chosen


def opened(store: Store, folder: Path, **facts: Any) -> AbstractAsyncContextManager[MessageBench]:
    return opened_messages(store, folder, **facts)


# -- the plain picture ------------------------------------------------------------------------------------------------


async def test_three_messages_are_queued_at_once_and_sent_in_order(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipts = [bench.messages.send("room", text) for text in ("one", "two", "three")]
        queued = await bench.until("chat.message.queued", times=3)
        assert bench.contents() == []
        release.set()
        sent = await bench.until("chat.message.sent", times=3)

    assert [event for event in queued if event.name == "chat.message.queued"] == [
        MessageQueued(client_id=receipt.client_id, room_id="room", content=text, reply_to_id=None, at=NOW_S)
        for receipt, text in zip(receipts, ("one", "two", "three"), strict=True)
    ]
    assert [event for event in sent if isinstance(event, MessageSent)] == [
        MessageSent(client_id=receipt.client_id, server_id=None, seq=number, room_id="room")
        for number, receipt in enumerate(receipts, 1)
    ]
    assert bench.called() == ["one", "two", "three"]


async def test_one_that_meets_a_server_error_once_is_called_twice_and_sent(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        bench.server.script(Transient(status=500))
        receipt = bench.messages.send("room", "hello")
        (*_, retrying) = await bench.until("chat.message.retrying")
        bench.clock.advance(seconds=1)
        sent = await receipt.sent()
        names = await bench.names(receipt.client_id)

    assert retrying == MessageRetrying(
        client_id=receipt.client_id, room_id="room", attempt=2, retry_at=NOW_S + 1
    )
    assert sent == MessageSent(client_id=receipt.client_id, server_id=None, seq=1, room_id="room")
    assert bench.called() == ["hello", "hello"]
    assert names == ["chat.message.queued", "chat.message.retrying", "chat.message.sent"]


async def test_a_server_that_always_fails_is_called_three_times_and_the_next_message_goes_on(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        bench.server.script(*[Transient("overloaded", status=503)] * 3)
        first, second = bench.messages.send("room", "first"), bench.messages.send("room", "second")
        for number in (1, 2):
            await bench.until("chat.message.retrying", times=number)
            bench.clock.advance(seconds=number)
        (*_, failed) = await bench.until("chat.message.failed")
        with pytest.raises(ActionFailed, match="503: overloaded"):
            await first.sent()
        await second.sent()

    error = Failure("transient", "transient", "overloaded", 503)
    assert failed == MessageFailed(client_id=first.client_id, room_id="room", error=error)
    assert bench.called() == ["first", "first", "first", "second"]


async def test_a_hundred_quick_messages_are_all_sent_in_order(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        receipts = [bench.messages.send("room", str(number)) for number in range(100)]
        for receipt in receipts:
            await receipt.sent()
        told = await bench.until("chat.message.sent", times=100)

    assert bench.contents() == [str(number) for number in range(100)]
    assert [event.client_id for event in told if isinstance(event, MessageSent)] == [
        each.client_id for each in receipts
    ]


async def test_a_try_of_a_direct_message_is_the_only_one(tmp_path: Path) -> None:
    async with opened("direct", tmp_path) as bench:
        bench.server.script(Transient("overloaded", status=503))
        receipt = bench.messages.send("room", "hello")
        with pytest.raises(ActionFailed, match="503"):
            await receipt.durable()  # who waits at all waits for the server
        await bench.messages.send("room", "next").durable()
        names = await bench.names(receipt.client_id)

    assert bench.called() == ["hello", "next"]
    assert names == ["chat.message.queued", "chat.message.failed"]
    assert [each async for each in anyio.Path(tmp_path).iterdir()] == []


# -- receipts ---------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_receipt_has_the_client_id_that_the_server_gets(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        receipt = bench.messages.send("room", "hello", reply_to="another")
        await receipt.sent()

    (call,) = bench.server.calls
    assert str(receipt) == receipt.client_id == call.client_id
    assert call.payload.reply_to_id == "another"


async def test_a_receipt_can_be_waited_for_before_and_after_and_by_several(
    store: Store, tmp_path: Path
) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipt = bench.messages.send("room", "hello")
        answers: list[MessageSent] = []

        async def wait() -> None:
            answers.append(await receipt.sent())

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            group.start_soon(wait)
            await bench.server.until_called()
            release.set()
        answers.append(await receipt.sent())

    assert answers == [MessageSent(client_id=receipt.client_id, server_id=None, seq=1, room_id="room")] * 3


@one_loop
async def test_what_the_server_calls_a_message_is_told(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        bench.server.script(Accept({"id": "m17", "seq": 17}), Accept("nothing that can be read"))
        told = [await bench.messages.send("room", text).sent() for text in ("one", "two")]

    assert [(each.server_id, each.seq) for each in told] == [("m17", 17), (None, None)]


async def test_a_closed_queue_takes_nothing_and_says_so_to_who_waits(store: Store, tmp_path: Path) -> None:
    caught: list[Exception] = []

    async def wait(receipt: Any) -> None:
        try:
            await receipt.sent()
        except QueueClosed as error:
            caught.append(error)

    async with anyio.create_task_group() as group:
        async with opened(store, tmp_path, stop_grace_s=0.001) as bench:
            bench.server.script(Hold(anyio.Event()))
            group.start_soon(wait, bench.messages.send("room", "held"))
            group.start_soon(wait, bench.messages.send("room", "behind it"))
            await bench.server.until_called()
            await anyio.wait_all_tasks_blocked()
            group.start_soon(_let_time_pass, bench.clock, group)
        group.cancel_scope.cancel()

    assert len(caught) == 2
    with pytest.raises(QueueClosed):
        bench.messages.send("room", "too late")


async def _let_days_pass(clock: ManualClock) -> None:
    while True:
        await anyio.wait_all_tasks_blocked()
        clock.advance(seconds=300)


async def _let_time_pass(clock: ManualClock, _: object) -> None:
    async with passing_time(clock):
        await anyio.sleep_forever()


# -- once -------------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_double_click_sends_a_draft_once(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        first = bench.messages.send("room", "hello", draft_id="draft-1")
        second = bench.messages.send("room", "hello", draft_id="draft-1")
        answers = [await first.sent(), await second.sent()]
        answers.append(await bench.messages.send("room", "hello", draft_id="draft-1").sent())
        names = await bench.names("draft-1")

    assert first.client_id == second.client_id == "draft-1"
    assert answers == [MessageSent(client_id="draft-1", server_id=None, seq=1, room_id="room")] * 3
    assert bench.called() == ["hello"]
    assert names == ["chat.message.queued", "chat.message.sent"]


@one_loop
async def test_the_same_draft_with_another_text_is_refused_and_the_first_one_is_sent(
    store: Store, tmp_path: Path
) -> None:
    async with opened(store, tmp_path) as bench:
        bench.messages.send("room", "hello", draft_id="draft-1")
        other = bench.messages.send("room", "another", draft_id="draft-1")
        with pytest.raises(ClientIdConflict):
            await other.durable()
        with pytest.raises(ClientIdConflict):
            await other.sent()
        await bench.messages.send("room", "next").sent()
        names = await bench.names("draft-1")

    assert bench.contents() == ["hello", "next"]
    assert "chat.message.failed" not in names


@pytest.mark.parametrize("draft_id", ["", "x" * 101, "nul \0", "half \ud800"])
@one_loop
async def test_a_draft_id_that_can_be_none_is_refused_by_the_call_itself(
    store: Store, tmp_path: Path, draft_id: str
) -> None:
    async with opened(store, tmp_path) as bench:
        with pytest.raises(InvalidAction, match="1 to 100"):
            bench.messages.send("room", "hello", draft_id=draft_id)


@pytest.mark.parametrize("content", ["half \ud800", "x" * 1_100_000], ids=["half a character", "a megabyte"])
async def test_a_text_that_can_not_be_sent_is_refused_by_the_call_itself(
    store: Store, tmp_path: Path, content: str
) -> None:
    async with opened(store, tmp_path) as bench:
        with pytest.raises(InvalidAction):
            bench.messages.send("room", content)
        await bench.messages.send("room", "next").sent()

    assert bench.called() == ["next"]


# -- order and rooms --------------------------------------------------------------------------------------------------


async def test_a_room_that_waits_does_not_hold_up_another_one(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.always(lambda each: Hold(release) if each.payload.room_id == "slow" else Accept())
        slow = [bench.messages.send("slow", str(number)) for number in range(3)]
        for number in range(20):
            await bench.messages.send(f"quick {number % 3}", str(number)).sent()
        before = await bench.messages.status()
        release.set()
        for receipt in slow:
            await receipt.sent()
        after = await bench.messages.status()

    assert before == MessageStatus(pending=2, sending=1)
    assert after == MessageStatus(pending=0, sending=0)


async def test_order_is_kept_while_the_first_one_waits_to_be_tried_again(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        bench.server.script(Transient(status=500), Accept(), Accept(), Transient(status=500))
        receipts = [bench.messages.send("room", str(number)) for number in range(20)]
        for number in (1, 2):
            await bench.until("chat.message.retrying", times=number)
            bench.clock.advance(seconds=1)
        for receipt in receipts:
            await receipt.sent()

    assert bench.contents() == [str(number) for number in range(20)]


@one_loop
async def test_a_refused_message_does_not_hold_up_the_next_one(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        bench.server.script(Permanent("no right", status=403))
        first, second = bench.messages.send("room", "first"), bench.messages.send("room", "second")
        await second.sent()
        with pytest.raises(ActionFailed, match="403: no right"):
            await first.sent()

    assert bench.called() == ["first", "second"]


@one_loop
async def test_a_message_whose_room_is_gone_is_dropped_and_told_as_failed(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        bench.server.script(TargetGone("no such room", status=404))
        receipt = bench.messages.send("room", "hello")
        (*_, failed) = await bench.until("chat.message.failed")
        with pytest.raises(ActionExpired):
            await receipt.sent()

    assert isinstance(failed, MessageFailed)
    assert failed.error.kind == "target_gone"


@one_loop
async def test_a_full_queue_says_so_and_forgets_nothing(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path, max_waiting_count=3) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipts = [bench.messages.send("room", str(number)) for number in range(3)]
        with pytest.raises(QueueFull) as caught:
            await bench.messages.send("room", "one too many").durable()
        release.set()
        for receipt in receipts:
            await receipt.sent()
        await bench.messages.send("room", "next").sent()

    assert (caught.value.limit, caught.value.size) == (3, 3)
    assert bench.contents() == ["0", "1", "2", "next"]


async def test_nobody_has_to_wait_to_be_told_that_a_message_was_not_stored(tmp_path: Path) -> None:
    async with opened("durable", tmp_path, max_waiting_count=1) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        followed = bench.messages.follow_events()
        await bench.messages.send("room", "first").durable()
        lost = bench.messages.send("room", "second")
        told = [await anext(followed), await anext(followed)]
        release.set()

    assert isinstance(told[1], MessageFailed)
    assert (told[1].client_id, told[1].room_id, told[1].error.code) == (lost.client_id, "room", "queue_full")


# -- by hand ----------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_failed_message_can_be_tried_again(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        bench.server.script(Permanent(status=403))
        receipt = bench.messages.send("room", "hello")
        (*_, failed) = await bench.until("chat.message.failed")
        await bench.messages.retry(receipt.client_id)
        sent = await receipt.sent()
        (*_, retrying, _) = await bench.until("chat.message.sent")

    assert isinstance(failed, MessageFailed)
    assert retrying == MessageRetrying(client_id=receipt.client_id, room_id="room", attempt=1, retry_at=NOW_S)
    assert sent.seq == 1
    assert bench.called() == ["hello", "hello"]


@one_loop
async def test_what_is_sent_or_unknown_can_neither_be_tried_again_nor_taken_back(
    store: Store, tmp_path: Path
) -> None:
    async with opened(store, tmp_path) as bench:
        receipt = bench.messages.send("room", "hello")
        await receipt.sent()
        with pytest.raises(NotPossible) as caught:
            await bench.messages.retry(receipt.client_id)
        answer = await bench.messages.cancel(receipt.client_id)
        for call in (bench.messages.retry, bench.messages.cancel):
            with pytest.raises(ActionNotFound):
                await call("nonsense")

    assert caught.value.state == "done"
    assert answer == "too_late"
    assert bench.called() == ["hello"]


async def test_a_message_that_may_be_at_the_server_is_not_said_to_be_taken_back_and_is_asked_for_again(
    queued_store: Store, tmp_path: Path
) -> None:
    patient = {"lease_s": 1e6, "call_timeout_s": 1e6}
    async with opened(queued_store, tmp_path, **patient) as bench:
        bench.server.script(LoseAnswer())
        bench.server.ask_steps.extend(Transient(status=500) for _ in range(20))
        receipt = bench.messages.send("room", "hello")
        async with anyio.create_task_group() as group:
            group.start_soon(_let_days_pass, bench.clock)
            with pytest.raises(ActionFailed, match="outcome_not_told"):
                await receipt.sent()
            group.cancel_scope.cancel()
        bench.server.ask_steps.clear()
        answer = await bench.messages.cancel(receipt.client_id, redact=False)
        await bench.messages.retry(receipt.client_id)
        await bench.until("chat.message.sent")

    assert answer == "too_late"
    assert bench.called() == ["hello"]


async def test_a_waiting_message_that_is_taken_back_is_never_sent(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        bench.messages.send("room", "first")
        await bench.server.until_called()
        second, third = bench.messages.send("room", "second"), bench.messages.send("room", "third")
        await bench.until("chat.message.queued", times=3)
        answers = [
            await bench.messages.cancel(second.client_id),
            await bench.messages.cancel(second.client_id),
        ]
        release.set()
        await third.sent()
        with pytest.raises(ActionCancelled):
            await second.sent()
        names = await bench.names(second.client_id)

    assert answers == ["cancelled", "cancelled"]
    assert bench.called() == ["first", "third"]
    assert names == ["chat.message.queued"]


async def test_a_direct_message_whose_answer_was_lost_is_deleted_again_or_said_to_be_too_late(
    tmp_path: Path,
) -> None:
    async with opened("direct", tmp_path) as bench:
        bench.server.script(LoseAnswer())
        receipt = bench.messages.send("room", "hello")
        with pytest.raises(ActionFailed):
            await receipt.sent()
        answers = [await bench.messages.cancel(receipt.client_id, redact=redact) for redact in (False, True)]
        await until(lambda: len(bench.server.effects) == 2)

    assert answers == ["too_late", "will_redact"]
    assert bench.server.effects[1].payload == DeleteMessage(room_id="room", message_id=receipt.client_id)


async def test_a_message_that_waits_for_its_turn_can_be_tried_now_without_losing_its_place(
    store: Store, tmp_path: Path
) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipts = [bench.messages.send("room", str(number)) for number in range(30)]
        await bench.server.until_called()
        if store != "direct":  # there, durable means sent
            await receipts[-1].durable()
        await bench.messages.retry(receipts[-2].client_id)
        release.set()
        for receipt in receipts:
            await receipt.sent()

    assert bench.called() == [str(number) for number in range(30)]


async def test_any_number_of_messages_that_are_taken_back_while_one_is_sent_is_forgotten(
    tmp_path: Path, unkept_store: Store
) -> None:
    async with opened(unkept_store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        first = bench.messages.send("room", "first")
        await bench.server.until_called()
        for number in range(1_002):
            assert await bench.messages.cancel(
                bench.messages.send("room", "x", draft_id=f"{number}").client_id
            )
        with pytest.raises(ActionNotFound):
            await bench.messages.cancel("0")
        assert await bench.messages.cancel("1001") == "cancelled"
        release.set()
        await first.sent()


@pytest.mark.parametrize("redact", [True, False])
async def test_a_message_that_is_being_sent_is_deleted_again_or_said_to_be_too_late(
    store: Store, tmp_path: Path, redact: bool
) -> None:
    async with opened(store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release))
        receipt = bench.messages.send("room", "oops")
        await bench.server.until_called()
        answer = await bench.messages.cancel(receipt.client_id, redact=redact)
        release.set()
        await receipt.sent()
        await bench.messages.send("room", "next").sent()

    deletion = [DeleteMessage(room_id="room", message_id=receipt.client_id)] if redact else []
    assert answer == ("will_redact" if redact else "too_late")
    assert [
        each.payload for each in bench.server.effects if isinstance(each.payload, DeleteMessage)
    ] == deletion
    assert bench.contents() == ["oops", "next"]


@one_loop
async def test_a_failed_message_that_is_taken_back_is_not_sent(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        bench.server.script(Permanent(status=403))
        receipt = bench.messages.send("room", "hello")
        await bench.until("chat.message.failed")
        answer = await bench.messages.cancel(receipt.client_id)
        with pytest.raises(NotPossible):
            await bench.messages.retry(receipt.client_id)

    assert answer == "cancelled"
    assert bench.called() == ["hello"]


@one_loop
async def test_a_failed_message_holds_up_its_room_where_its_type_says_so(
    queued_store: Store, tmp_path: Path
) -> None:
    types = ActionTypes([*BUILT_IN, replace(BUILT_IN[0], stuck="block")])
    async with opened(queued_store, tmp_path, types=types) as bench:
        bench.server.script(Permanent(status=403), Accept(), Permanent(status=403))
        first, second = bench.messages.send("room", "first"), bench.messages.send("room", "second")
        await bench.until("chat.message.failed")
        await bench.messages.send("elsewhere", "other").sent()
        before = bench.called()
        await bench.messages.retry(first.client_id)
        await bench.until("chat.message.failed", times=2)
        answer = await bench.messages.cancel(first.client_id)
        await second.sent()

    assert before == ["first", "other"]
    assert answer == "cancelled"
    assert bench.called() == ["first", "other", "first", "second"]


@one_loop
async def test_a_deletion_that_fails_is_tried_again_and_holds_nothing_up(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release), Transient(status=500))
        receipt = bench.messages.send("room", "oops")
        await bench.server.until_called()
        await bench.messages.cancel(receipt.client_id)
        release.set()
        await bench.server.until_called(2)
        await bench.messages.send("room", "next").sent()
        before = [each.type for each in bench.server.effects]
        bench.clock.advance(seconds=2)
        await until(lambda: len(bench.server.effects) == 3)

    assert before == ["send-message", "send-message"]
    assert bench.server.effects[-1].type == "delete-message"


# -- bad servers ------------------------------------------------------------------------------------------------------


async def test_without_contact_no_try_is_used_and_all_goes_out_when_it_is_back(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path, lease_s=3_600) as bench, passing_time(bench.clock, step_s=0.05):
        bench.server.script(*[Unreachable()] * 3)
        receipts = [bench.messages.send("room", str(number)) for number in range(5)]
        for receipt in receipts:
            await receipt.sent()
        names = await bench.names(receipts[0].client_id)

    assert bench.contents() == [str(number) for number in range(5)]
    assert [call.attempt for call in bench.server.calls] == [1] * 8
    assert names == ["chat.message.queued", "chat.message.sent"]


async def test_a_lost_answer_is_asked_for_and_the_message_is_not_sent_twice(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path) as bench:
        bench.server.script(LoseAnswer())
        receipt = bench.messages.send("room", "hello")
        (*_, retrying) = await bench.until("chat.message.retrying")
        bench.clock.advance(seconds=1)
        await receipt.sent()

    assert isinstance(retrying, MessageRetrying)
    assert bench.server.asked == [receipt.client_id]
    assert bench.called() == ["hello"]


async def test_an_expired_session_is_told_and_everything_waits_for_the_login(
    queued_store: Store, tmp_path: Path
) -> None:
    async with opened(queued_store, tmp_path, account="ann") as bench:
        bench.server.script(AuthExpired(status=401))
        receipts = [bench.messages.send("room", str(number)) for number in range(3)]
        (*_, expired) = await bench.until("session.expired")
        status = await bench.messages.status()
        await bench.messages.resume()
        for receipt in receipts:
            await receipt.sent()
        names = await bench.names(receipts[0].client_id)

    assert expired == SessionExpired(account="ann", at=NOW_S)
    assert status == MessageStatus(pending=3, sending=0)
    assert bench.called() == ["0", "0", "1", "2"]
    assert "chat.message.failed" not in names


@one_loop
async def test_a_direct_message_without_a_session_fails_and_says_why(tmp_path: Path) -> None:
    async with opened("direct", tmp_path, account="ann") as bench:
        bench.server.script(AuthExpired(status=401))
        with pytest.raises(ActionFailed, match="401"):
            await bench.messages.send("room", "hello").sent()
        told = await bench.until("chat.message.failed")
        await bench.messages.resume()

    assert [event.name for event in told] == ["chat.message.queued", "session.expired", "chat.message.failed"]


class Broken(ScriptedServer):
    """A transport with a bug, and one that never answers."""

    @override
    async def deliver(self, delivery: Any) -> Any:
        if delivery.payload.content == "bug":
            raise ZeroDivisionError
        if delivery.payload.content == "somebody's cancel":
            waited_for: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waited_for.cancel()
            await waited_for
        if delivery.payload.content == "silence":
            await anyio.sleep_forever()
        return await super().deliver(delivery)


@one_loop
@pytest.mark.parametrize("bug", ["bug", "somebody's cancel"])
async def test_a_transport_with_a_bug_fails_its_message_and_no_other(
    store: Store, tmp_path: Path, bug: str
) -> None:
    async with (
        opened(store, tmp_path, server=Broken(), lease_s=3_600) as bench,
        passing_time(bench.clock, step_s=0.05),
    ):
        with pytest.raises(ActionFailed, match=r"not_received|ZeroDivisionError|CancelledError"):
            await bench.messages.send("room", bug).sent()
        await bench.messages.send("room", "next").sent()

    assert bench.called() == ["next"]


async def test_a_direct_call_that_never_ends_is_ended(tmp_path: Path) -> None:
    async with opened("direct", tmp_path, server=Broken(), call_timeout_s=0.01) as bench:
        with pytest.raises(ActionFailed) as caught:
            await bench.messages.send("room", "silence").sent()
        await bench.messages.send("room", "next").sent()

    assert caught.value.failure is not None
    assert (caught.value.failure.kind, caught.value.failure.code) == ("answer_lost", "timed_out")


# -- events -----------------------------------------------------------------------------------------------------------


@one_loop
async def test_a_reader_goes_on_from_its_cursor_and_misses_nothing(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        for number in range(5):
            await bench.messages.send("room", str(number)).sent()
        followed = bench.messages.follow_events()
        told = [await anext(followed) for _ in range(3)]
        followed = bench.messages.follow_events(followed.cursor)
        told += [await anext(followed) for _ in range(7)]
        newest = await bench.messages.newest_event()

    assert [event.name for event in told] == ["chat.message.queued", "chat.message.sent"] * 5
    assert followed.cursor == newest


@one_loop
async def test_the_content_is_told_though_it_is_sent_and_wiped_by_then(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        await bench.messages.send("room", "hello", reply_to="m0").sent()
        (queued, _) = await bench.until("chat.message.sent")

    assert isinstance(queued, MessageQueued)
    assert (queued.content, queued.reply_to_id) == ("hello", "m0")


async def test_a_follower_hears_of_what_happens_while_it_waits(store: Store, tmp_path: Path) -> None:
    async with opened(store, tmp_path) as bench:
        heard: list[str] = []
        newest = await bench.messages.newest_event()  # not in the task: the read might end after the send

        async def listen() -> None:
            async for event in bench.messages.follow_events(newest):
                heard.append(event.name)  # noqa: PERF401 - it is looked at meanwhile

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await anyio.wait_all_tasks_blocked()
            await bench.messages.send("room", "hello").sent()
            await until(lambda: heard == ["chat.message.queued", "chat.message.sent"])
            group.cancel_scope.cancel()


# -- what only a file can do ------------------------------------------------------------------------------------------


async def test_durable_messages_and_their_events_survive_the_process(tmp_path: Path) -> None:
    server = ScriptedServer()
    async with opened("durable", tmp_path, server=server) as bench:
        server.always(lambda _: Unreachable())
        receipts = [bench.messages.send("room", str(number)) for number in range(5)]
        for receipt in receipts:
            await receipt.durable()
        followed = bench.messages.follow_events()
        seen = [await anext(followed) for _ in range(3)]
    server.always(None)
    async with opened("durable", tmp_path, server=server, clock=bench.clock) as bench:
        followed = bench.messages.follow_events(followed.cursor)
        seen += [await anext(followed) for _ in range(7)]

    assert bench.contents() == [str(number) for number in range(5)]
    assert [event.client_id for event in seen if isinstance(event, MessageQueued)] == [
        each.client_id for each in receipts
    ]
    assert [event.client_id for event in seen if isinstance(event, MessageSent)] == [
        each.client_id for each in receipts
    ]


@one_loop
async def test_a_reader_in_another_process_that_is_late_is_not_told_the_content(tmp_path: Path) -> None:
    async with opened("durable", tmp_path) as bench:
        await bench.messages.send("room", "hello").sent()
    async with opened("durable", tmp_path, clock=bench.clock) as bench:
        (queued, sent) = await bench.until("chat.message.sent")

    assert isinstance(queued, MessageQueued)
    assert queued.content is None
    assert isinstance(sent, MessageSent)
    assert sent.room_id == "room"
