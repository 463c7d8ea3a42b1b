"""Programs that use the client: scripts without an event loop, a bot, the terminal."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import replace

import anyio
import pytest

from chat import ActionDone, ChatMessage, MessageChanged, SyncClient
from chat.examples.echo_bot import EchoBot, answer_to
from tests.support.chat_client import NOWHERE, PASSWORD, QUICK, House, the_next
from tests.support.command_line import COMMAND, start, surroundings
from tests.support.waiting import until

LIMIT_S = 30.0


def test_a_script_sends_and_reads_without_an_event_loop(house: House) -> None:
    with SyncClient(house.url, store=house.path / "script", settings=QUICK) as client:
        assert not client.is_logged_in
        client.login("ann", PASSWORD)
        heard = client.events(timeout_s=LIMIT_S)
        receipt = client.send(house.room, "from a script")
        receipt.durable()
        assert receipt.sent(timeout_s=LIMIT_S)["client_id"] == receipt.client_id
        assert any(isinstance(event, ActionDone) and event.client_id == receipt.client_id for event in heard)
        pinned = client.do(lambda made: made.pin(house.room, receipt.client_id))
        pinned.sent(timeout_s=LIMIT_S)
        assert [each.content for each in client.backlog(house.room, limit=5)] == ["from a script"]
        assert client.messages(house.room)[0].is_pinned
        assert client.call("GET", "/v1/me")["name"] == "ann"
        client.run(client._client.refresh_rooms)
        assert house.room in {each.id for each in client.rooms()}
        assert client.space(house.space).id == house.space
        assert list(client.events(timeout_s=0.01)) == []
        client.logout()
        assert not client.is_logged_in


def test_a_script_is_told_what_is_wrong_as_it_is(house: House) -> None:
    client = SyncClient(NOWHERE, store=house.path / "script", settings=replace(QUICK, is_live=False))
    with pytest.raises(RuntimeError, match="enter the client first"):
        client.rooms()
    with client:
        assert client.rooms() == []
        with pytest.raises(Exception, match="attempts failed"):
            client.register("somebody", PASSWORD)


def message(content: str | None, sender: str = "2") -> ChatMessage:
    return ChatMessage(id="5", seq=1, client_id="c", sender=sender, content=content, created_at_ms=0)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (message("!echo hello"), "hello"),
        (message("hello"), None),
        (message("!echo "), None),
        (message(None), None),
        (message("!echo me", sender="1"), None),
    ],
)
def test_the_bot_answers_what_is_asked_of_it_and_never_itself(said: ChatMessage, answer: str | None) -> None:
    assert answer_to(said, me="1") == answer


async def test_the_bot_answers_once_though_it_hears_twice_and_begins_anew(house: House) -> None:
    async with house.logged_in() as ann:
        heard = ann.events()
        for _ in range(2):  # it ends and begins again
            async with house.logged_in("bob", "bot") as client:
                await until(lambda: house.room in client._cache.positions)
                bot = EchoBot(client)
                async with anyio.create_task_group() as group:
                    group.start_soon(bot.run)
                    own = client.events()
                    await ann.send(house.room, "!echo hello", client_id=f"ask-{house.room}").sent()
                    if not await anyio.to_thread.run_sync(lambda: len(house.contents()) > 1):
                        asked = await the_next(
                            own, MessageChanged, lambda event: event.kind == "message.created"
                        )
                        bot.heed(asked)
                        await the_next(heard, MessageChanged, lambda event: event.actor == house.bob)
                    group.cancel_scope.cancel()
        stored = await anyio.to_thread.run_sync(house.messages)
        assert [each["content"] for each in stored] == ["!echo hello", "hello"]
        assert stored[1]["reply_to"] == stored[0]["id"]


def terminal_words(house: House, url: str | None = None) -> list[str]:
    """Return how the terminal client of this test is called."""
    return ["chat", "--url", url or house.url, "--store", str(house.path / "terminal")]


def terminal(
    house: House, *arguments: str, said: str = "", url: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the terminal client to its end."""
    command = [*COMMAND, *terminal_words(house, url), *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, input=said, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=surroundings()
    )


def test_the_terminal_sends_and_shows_a_chat(house: House) -> None:
    logged_in = terminal(house, "login", "ann", said=PASSWORD + "\n")
    assert (logged_in.returncode, logged_in.stdout) == (0, ""), logged_in.stderr
    sent = terminal(house, "send", house.room, said="one\ntwo\n")
    assert [json.loads(line)["seq"] for line in sent.stdout.splitlines()] == [1, 2], sent.stderr
    shown = terminal(house, "backlog", house.room)
    assert [json.loads(line)["content"] for line in shown.stdout.splitlines()] == ["one", "two"]
    offline = terminal(house, "backlog", house.room, url=NOWHERE)
    assert offline.stdout == shown.stdout


def test_the_terminal_follows_a_room_and_keeps_what_it_could_not_send(house: House) -> None:
    terminal(house, "login", "bob", said=PASSWORD + "\n")
    kept = terminal(house, "send", house.room, "for", "later", "--wait", "0.1", url=NOWHERE)
    assert (kept.returncode, kept.stdout) == (0, "")
    assert "is kept" in kept.stderr
    with start(*terminal_words(house), "tail", house.room, "--count", "1") as tail:
        number = 0
        while tail.poll() is None:  # it has subscribed when one of them comes
            number += 1
            message = {"client_id": f"t{number}-{house.room}", "content": f"number {number}"}
            house.ann_http.post(f"/v1/rooms/{house.room}/messages", json=message).raise_for_status()
            with contextlib.suppress(subprocess.TimeoutExpired):
                tail.wait(0.2)
        assert tail.stdout is not None
        (line,) = tail.stdout.read().splitlines()
    assert json.loads(line)["sender_name"] in {"", "ann"}
    assert "for later" in house.contents()


def test_the_bot_is_a_program_of_its_own() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "chat.examples.echo_bot"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert said.returncode == 1
    assert "not enough values" in said.stderr
