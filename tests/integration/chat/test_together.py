"""Messages of one room that are under way at once: quicker over a slow network, and in their order all the same."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace
from typing_extensions import override

from chat.errors import ActionFailed, Permanent, RateLimited, Transient
from chat.queue.actions import BUILT_IN, ActionTypes
from chat.queue.control import Cancelled
from chat.queue.payloads import SendMessage
from chat.testing import Accept, Hold, LoseAnswer, ManualClock, ScriptedServer
from tests.support.chat_queue import Bench, message, opened, passing_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chat.queue.handlers import Delivery
    from chat.queue.receipts import Receipt

LIMIT_S = 30.0
NUMBERS = [str(number) for number in range(8)]


class OrderKeepingServer(ScriptedServer):
    """Does nothing before what stands before it in its lane is done or refused."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.most_at_once = 0
        self._at_once = 0

    @override
    async def deliver(self, delivery: Delivery) -> Any:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await anyio.lowlevel.checkpoint()
            before = (
                delivery.together[: delivery.together.index(delivery.client_id)] if delivery.together else ()
            )
            done = {each.client_id for each in self.effects} | self.refused
            if not done.issuperset(before):
                raise RateLimited("too early", retry_after_s=0.01)
            return await super().deliver(delivery)
        except Permanent:
            self.refused.add(delivery.client_id)
            raise
        finally:
            self._at_once -= 1


def messages_with(**how: Any) -> ActionTypes:
    return ActionTypes(
        dataclasses.replace(each, **how) if each.name == "send-message" else each for each in BUILT_IN
    )


def answers_none_of_them(payload: SendMessage, client_ids: Sequence[str]) -> bool:
    return payload.reply_to_id not in client_ids


def deliver_together(bench: Bench) -> None:
    server = bench.server
    bench.queue.handle("send-message", server.deliver, ask=server.ask, joins=answers_none_of_them)


async def waiting_messages(bench: Bench, contents: Sequence[str] = NUMBERS) -> list[Receipt]:
    """Return messages that one claim takes."""
    return [await bench.queue.enqueue(message(content)) for content in contents]


async def test_messages_of_a_room_are_under_way_at_once_and_reported_in_their_order(tmp_path: Path) -> None:
    held = Hold(anyio.Event())
    async with opened(tmp_path, handles=False) as bench:
        receipts = await waiting_messages(bench)
        bench.server.always(lambda each: held if each.payload.content == "0" else Accept())
        with anyio.fail_after(LIMIT_S):
            deliver_together(bench)
            await bench.server.until_called(len(NUMBERS))
            await anyio.wait_all_tasks_blocked()
            assert [each.kind for each in await bench.events()].count("done") == 0
            held.release.set()
            for receipt in receipts:
                await receipt.sent()
        done = [each.client_id for each in await bench.events() if each.kind == "done"]
        assert done == [receipt.client_id for receipt in receipts]


async def test_an_answer_to_a_message_waits_until_that_one_is_done(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        (first, _) = await waiting_messages(bench, ["question", "aside"])
        answer = await bench.queue.enqueue(replace(message("answer"), reply_to_id=first.client_id))
        with anyio.fail_after(LIMIT_S):
            deliver_together(bench)
            await answer.sent()
        assert [len(each.together) for each in bench.server.calls] == [2, 2, 0]


async def test_a_room_that_is_to_stop_at_what_fails_has_one_message_under_way(tmp_path: Path) -> None:
    types = messages_with(stuck="block")
    async with opened(tmp_path, types=types, handles=False) as bench:
        receipts = await waiting_messages(bench)
        with anyio.fail_after(LIMIT_S):
            deliver_together(bench)
            await receipts[-1].sent()
        assert {each.together for each in bench.server.calls} == {()}


async def test_one_that_is_under_way_can_not_be_taken_back(tmp_path: Path) -> None:
    held = Hold(anyio.Event())
    async with opened(tmp_path, handles=False) as bench:
        receipts = await waiting_messages(bench, ["a", "b"])
        bench.server.always(lambda _: held)
        with anyio.fail_after(LIMIT_S):
            deliver_together(bench)
            await bench.server.until_called(2)
            assert await bench.queue.cancel(receipts[1].client_id, redact=False) is Cancelled.TOO_LATE
            held.release.set()
            await receipts[1].sent()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_fails_each_message_arrives_once_and_in_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    troubles: tuple[Any, ...] = (
        Transient("busy"),
        RateLimited("wait", retry_after_s=0.01),
        LoseAnswer(has_effect=True),
        LoseAnswer(has_effect=False),
        Permanent("refused", status=400),
    )

    def step(_: Delivery) -> Any:
        return chance.choice(troubles) if chance.random() < 0.3 else Accept()

    server = OrderKeepingServer()
    server.always(step)
    async with (
        opened(
            tmp_path, server, handles=False, lease_s=3_600, types=messages_with(max_attempts=1_000)
        ) as bench,
        passing_time(bench.clock, step_s=0.05),
    ):
        receipts = await waiting_messages(bench, [str(number) for number in range(30)])
        with anyio.fail_after(LIMIT_S):
            deliver_together(bench)
            for receipt in receipts:
                with contextlib.suppress(ActionFailed):  # refused by the script
                    await receipt.sent()
        assert server.most_at_once > 1
        refused = {int(each.payload.content) for each in server.calls if each.client_id in server.refused}
        assert [int(content) for content in bench.contents()] == [n for n in range(30) if n not in refused]


async def test_what_was_under_way_when_the_queue_closed_is_asked_about_and_done_once(tmp_path: Path) -> None:
    server = OrderKeepingServer()
    never = Hold(anyio.Event())
    server.always(lambda each: never if each.payload.content in {"3", "5"} else Accept())
    clock = ManualClock()
    with anyio.fail_after(LIMIT_S):
        async with passing_time(clock):
            async with opened(tmp_path, server, clock=clock, handles=False) as bench:
                receipts = await waiting_messages(bench)
                deliver_together(bench)
                await receipts[2].sent()
            assert bench.contents() == NUMBERS[:3]
            server.always(None)
            async with opened(tmp_path, server, clock=clock, handles=False) as again:
                deliver_together(again)
                await again.until("done", receipts[-1].client_id)
        assert again.contents() == NUMBERS
