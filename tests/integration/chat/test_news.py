"""All that a program is told of its queue in one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chat import (
    ActionFailed,
    AuthExpired,
    KickUser,
    MuteUser,
    News,
    Notice,
    Permanent,
    QueueFull,
    QueueUpdated,
    SaveUserConfig,
    Transient,
)
from tests.support.chat_queue import Bench, message, opened, passing_time
from tests.support.loops import one_loop

if TYPE_CHECKING:
    from pathlib import Path


async def told_until(bench: Bench, name: str, times: int = 1) -> list[News]:
    """Return the news up to the one with which `name` has come so often."""
    told: list[News] = []
    async for news in bench.queue.follow_news(0):
        told.append(news)
        times -= news.name == name
        if times == 0:
            break
    return told


async def test_all_news_come_under_their_names_and_a_notice_after_what_it_is_about(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await (await bench.queue.enqueue(KickUser(space_id="s", user_id="u"))).sent()
        told = await told_until(bench, "notice")

    assert [news.name for news in told] == [
        "queue.updated",
        "action.queued",
        "action.calling",
        "action.done",
        "notice",
    ]
    assert told[0] == QueueUpdated(pending=0, processing=0, failed=0, completed=1, total=1)


@one_loop
async def test_a_toast_comes_when_a_moderator_fails_and_never_for_messages_and_saved_settings(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Permanent("not yours", status=403), Permanent(status=403))
        for payload in (message("1"), MuteUser(space_id="s", user_id="u")):
            with pytest.raises(ActionFailed):
                await (await bench.queue.enqueue(payload)).sent()
        await bench.queue.save_now(SaveUserConfig(fields={"a": 1}))
        bench.server.script(Permanent("too large", status=422))
        with pytest.raises(ActionFailed):
            await bench.queue.save_now(SaveUserConfig(fields={"a": 2}))
        told = await told_until(bench, "notice", times=2)

    assert [news.text for news in told if isinstance(news, Notice)] == [
        "Failed to mute user: 403",
        "Failed to save settings: 422: too large",
    ]


@one_loop
async def test_no_notice_comes_while_an_action_will_still_be_tried(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_s=3_600) as bench, passing_time(bench.clock, step_s=0.05):
        bench.server.script(Transient(status=500), Transient(status=500))
        await (await bench.queue.enqueue(KickUser(space_id="s", user_id="u"))).sent()
        told = await told_until(bench, "notice")

    assert [news.name for news in told].count("action.retry_wait") == 2
    assert [(news.text, news.outcome) for news in told if isinstance(news, Notice)] == [
        ("User removed", "success")
    ]


@one_loop
async def test_each_reader_has_its_own_words(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await (await bench.queue.enqueue(KickUser(space_id="s", user_id="u"))).sent()
        texts = bench.queue.notice_texts()
        followed = bench.queue.follow_news(0, {"kick-user.success": "Benutzer entfernt"})
        told = [await anext(followed) for _ in range(5)]
        with pytest.raises(ValueError, match=r"kick-user\.done"):
            bench.queue.follow_news(0, {"kick-user.done": ""})

    assert texts["kick-user.success"] == "User removed"
    assert isinstance(told[-1], Notice)
    assert told[-1].text == "Benutzer entfernt"


async def test_a_reader_that_was_interrupted_before_a_notice_gets_it_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        await (await bench.queue.enqueue(KickUser(space_id="s", user_id="u"))).sent()
        followed = bench.queue.follow_news(0)
        before = [await anext(followed) for _ in range(4)]
        again = bench.queue.follow_news(followed.cursor)
        after = [await anext(again) for _ in range(3)]
        rest = bench.queue.follow_news(again.cursor)
        await (await bench.queue.enqueue(message("1"))).sent()
        news = [await anext(rest) for _ in range(2)]

    assert [each.name for each in (before[-1], *after)] == [
        "action.done",
        "queue.updated",
        "action.done",
        "notice",
    ]
    assert news[-1].name == "action.queued"


async def test_counts_are_told_after_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        followed = bench.queue.follow_news(0)
        first = await anext(followed)
        for number in range(20):
            bench.queue.put(message(str(number)))
        latest = first
        while latest != QueueUpdated(pending=0, processing=0, failed=0, completed=20, total=20):
            news = await anext(followed)
            latest = news if isinstance(news, QueueUpdated) else latest

    assert first == QueueUpdated(pending=0, processing=0, failed=0, completed=0, total=0)


async def test_an_expired_session_is_told_with_its_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(AuthExpired(status=401))
        await bench.queue.enqueue(message("1"), account="ann")
        told = await told_until(bench, "session.expired")

    assert getattr(told[-1], "account", None) == "ann"


async def test_who_follows_is_told_of_an_action_that_could_not_be_stored_though_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, handles=False, max_waiting_count=1) as bench:
        followed = bench.queue.follow_events(0)
        await bench.queue.enqueue(message("1"))
        lost = bench.queue.put(message("2"))
        events = [await anext(followed), await anext(followed)]
        with pytest.raises(QueueFull):
            await lost.durable()
        newest = await bench.queue.newest_event()

    refused = events[1]
    assert (refused.name, refused.client_id) == ("action.refused", lost.client_id)
    assert refused.failure is not None
    assert refused.failure.code == "queue_full"
    assert followed.seen == newest == 1
