"""What the stores of messages share, and how they are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chat import (
    ActionNotFound,
    ChatSettings,
    Event,
    Failure,
    MessageFailed,
    MessageSent,
    QueueSettings,
    SendMessage,
    open_messages,
)
from chat.messages.events import message_event, sent_of
from chat.messages.recent import MAX_CHARS, RecentMessages
from chat.testing import ScriptedServer
from tests.support.chat_queue import opened

if TYPE_CHECKING:
    from pathlib import Path


def nothing(_: str) -> None:
    return None


def happened(kind: str, **facts: Any) -> Event:
    told: dict[str, Any] = {
        "client_id": "c",
        "type": "send-message",
        "lane": "messages/ann/a%2Fb",
        "account": "ann",
    }
    return Event(seq=1, kind=kind, at_ms=1, **(told | facts))


def test_a_room_is_read_back_from_its_lane_whatever_it_is_called() -> None:
    failure = Failure("permanent", "no_right")

    assert message_event(happened("failed", failure=failure), "ann", nothing) == MessageFailed(
        client_id="c", room_id="a/b", error=failure
    )


def test_an_event_whose_lane_is_forgotten_is_told_all_the_same() -> None:
    told = message_event(happened("done", lane=None, result={"id": 7, "seq": 3}), "ann", nothing)

    assert told == MessageSent(client_id="c", server_id="7", seq=3, room_id="")


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("done", {"account": "bob"}),
        ("done", {"type": "kick-user"}),
        ("calling", {}),
        ("cancelled", {}),
        ("paused", {}),
        ("uncertain", {}),
        ("queued", {"was": "calling"}),
        ("session.expired", {"account": "bob", "client_id": None, "type": None}),
    ],
)
def test_what_is_no_news_of_a_message_of_this_account_is_not_told(kind: str, facts: dict[str, Any]) -> None:
    assert message_event(happened(kind, **facts), "ann", nothing) is None


@pytest.mark.parametrize("answer", [None, "text", [], {}, {"seq": "3"}])
def test_an_answer_that_says_nothing_is_no_reason_to_fail(answer: Any) -> None:
    assert sent_of("c", "a", answer) == MessageSent(client_id="c", server_id=None, seq=None, room_id="a")


def test_recent_messages_are_forgotten_when_there_are_too_many_of_them() -> None:
    recent = RecentMessages()
    large = SendMessage(room_id="a", content="x" * (MAX_CHARS // 2))
    for client_id in ("1", "2", "3"):
        recent.add(client_id, large)
    recent.add("3", SendMessage(room_id="a", content="other"))

    assert [recent.find(client_id) for client_id in ("1", "2", "3")] == [None, large, large]


def test_a_store_that_is_none_is_refused() -> None:
    wrong: Any = "paper"
    with pytest.raises(ValueError, match="paper"):
        ChatSettings(store=wrong)


async def test_a_durable_store_has_to_be_told_where(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path"):
        async with open_messages(ScriptedServer()):
            pass
    async with opened(tmp_path) as bench, open_messages(ScriptedServer(), bench.queue) as messages:
        assert (await messages.send("room", "through the open queue").sent()).seq == 1
        assert bench.contents() == ["through the open queue"]


@pytest.mark.parametrize("settings", [ChatSettings(store="memory"), ChatSettings(use_queue=False)])
async def test_without_a_file_a_program_needs_nothing_but_a_transport(settings: ChatSettings) -> None:
    async def break_off() -> None:
        async with open_messages(ScriptedServer(), settings=settings) as messages:
            assert (await messages.send("room", "hello").sent()).seq == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # not wrapped in a group of errors
        await break_off()


async def test_many_messages_that_ended_are_forgotten_in_memory() -> None:
    settings = ChatSettings(store="memory", queue=QueueSettings(max_waiting_count=2_000))
    async with open_messages(ScriptedServer(), settings=settings) as messages:
        receipts = [messages.send("room", str(number)) for number in range(1_002)]
        await receipts[-1].sent()
        answer = await messages.cancel(receipts[2].client_id)
        with pytest.raises(ActionNotFound):
            await messages.cancel(receipts[0].client_id)

    assert answer == "too_late"
