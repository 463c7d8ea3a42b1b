"""A log goes from its file into the chat through a door: message by message, once, whatever fails on the way."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dataserver.commands import Command, CommandFailed, Done, Reply
from dataserver.imports import log_storing
from dataserver.imports.log_storing import LogOrder, import_log
from dataserver.imports.order import Watch
from dataserver.imports.survey import BadLine
from dataserver.log_commands import OpenLog, StoreLog, log_command_done
from dataserver.refusals import RouteNotFound
from tests.support.chat_domain import ChatBench, open_bench
from tests.support.loops import ASYNCIO, on

anyio_backend = on(ASYNCIO)  # a log is brought in one batch after the other: nobody waits for another

DATA = Path(__file__).parents[3].parent / "shared" / "data"
REAL_LINE_COUNT = 4_000
real_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"NO REAL DATA: {DATA.name} of the shared folder is not beside this checkout"
)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


@dataclass
class ChatDoor:
    """A door to a chat that answers the batches as a script says; the end of it means well."""

    bench: ChatBench
    script: list[str] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    async def perform(self, command: Command) -> AsyncGenerator[Reply]:
        assert isinstance(command, OpenLog | StoreLog)
        if isinstance(command, StoreLog):
            self.batch_sizes.append(len(command.lines))
            kind = self.script.pop(0) if self.script else ""
            if kind == "WriteOutcomeUnknown":
                await log_command_done(command, self.bench.chat)
            if kind:
                raise CommandFailed(kind, "as the script says")
        yield Done(await log_command_done(command, self.bench.chat))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[ChatDoor]:
    async with open_bench(tmp_path / "chat.db") as bench:
        yield ChatDoor(bench)


def line(number: int, text: str, room: str = "#one", **more: Any) -> dict[str, Any]:
    return {"id": number, "room": room, "author": "ada", "ts": "2020-01-01T00:00:00Z", "text": text, **more}


def written(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
    return path


def order(path: Path, **more: Any) -> LogOrder:
    return LogOrder(path=path, source="log", space="Log", owner="ann", **more)


async def told(bench: ChatBench, space: str) -> dict[str, list[dict[str, Any]]]:
    """Return all events of each room of a space, and prove that they are dense."""
    rooms = msgspec.json.decode(await bench.chat.rooms.of_space(bench.ann, int(space)))["rooms"]
    found: dict[str, list[dict[str, Any]]] = {}
    for room in rooms:
        events: list[dict[str, Any]] = []
        while page := await _page(bench, int(room["id"]), len(events)):
            events += page
        assert [event["seq"] for event in events] == list(range(1, room["last_seq"] + 1))
        found[room["name"]] = events
    return found


async def _page(bench: ChatBench, room: int, after_seq: int) -> list[dict[str, Any]]:
    page = await bench.chat.messages.events(bench.ann, room, after_seq=after_seq, limit=500)
    found: list[dict[str, Any]] = msgspec.json.decode(page)["events"]
    return found


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"]["content"] for event in events if event["message"] is not None]


async def test_batches_that_fail_for_a_while_are_asked_again_and_nothing_is_doubled(
    door: ChatDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_storing, "MAX_BATCH_LINES", 4)
    monkeypatch.setattr(log_storing, "_FIRST_PAUSE_S", 0.0)
    door.script = ["StorageBusy", "", "WriteOutcomeUnknown", "StorageSaturated"]
    path = written(tmp_path / "log.jsonl", [line(n, f"{n}") for n in range(10)])
    outcome = await import_log(door, order(path), Watch())
    assert (outcome.stored_count, outcome.known_count) == (6, 4)
    assert texts((await told(door.bench, outcome.space_id))["#one"]) == [f"{n}" for n in range(10)]

    door.script = ["NotAllowed"]
    with pytest.raises(CommandFailed):
        await import_log(door, order(path), Watch())


async def test_a_bad_line_stops_it_behind_those_before_or_is_left_out(door: ChatDoor, tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", [line(0, "a"), "odd", line(1, "b")])
    with pytest.raises(BadLine, match=r"line 2: no line of a log.*the 1 rows before it"):
        await import_log(door, order(path), Watch())

    complaints: list[int] = []
    watch = Watch(complaining=lambda bad: complaints.append(bad.line_number))
    outcome = await import_log(door, order(path, on_error="skip"), watch)
    assert (outcome.stored_count, outcome.known_count, outcome.skipped_count) == (1, 1, 1)
    assert complaints == [2]
    assert texts((await told(door.bench, outcome.space_id))["#one"]) == ["a", "b"]


async def test_long_texts_go_in_smaller_batches(door: ChatDoor, tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", [line(n, "x" * 30_000) for n in range(70)])
    await import_log(door, order(path), Watch())
    assert door.batch_sizes == [34, 34, 2]


async def test_progress_is_told_after_each_batch(
    door: ChatDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_storing, "MAX_BATCH_LINES", 2)
    counts: list[int] = []
    path = written(tmp_path / "log.jsonl", [line(n, f"{n}") for n in range(5)])
    await import_log(door, order(path), Watch(storing=lambda _, count: counts.append(count)))
    assert counts == [2, 4, 5]


async def test_where_there_is_no_chat_nothing_is_brought_in() -> None:
    with pytest.raises(RouteNotFound):
        await log_command_done(OpenLog(source="log", space="Log"), None)


def _slice(name: str, folder: Path, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8", newline="\n") as stream:
        lines = list(itertools.islice((each for each in stream if wanted(json.loads(each))), REAL_LINE_COUNT))
    (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    return [json.loads(each) for each in lines]


@real_data
async def test_of_a_real_log_every_message_and_event_is_where_it_was(door: ChatDoor, tmp_path: Path) -> None:
    messages = _slice("chat_slack_ja", tmp_path, lambda _: True)
    last = messages[-1]["id"]
    events = _slice("chat_slack_ja_events", tmp_path, lambda each: (each["after"] or 0) <= last)
    wish = order(tmp_path / "chat_slack_ja.jsonl", events=tmp_path / "chat_slack_ja_events.jsonl")

    outcome = await import_log(door, wish, Watch())
    again = await import_log(door, wish, Watch())

    assert outcome.stored_count == len(messages) + len(events)
    assert (again.stored_count, again.known_count) == (0, outcome.stored_count)
    found = await told(door.bench, outcome.space_id)
    ids: dict[int, str] = {}
    for room, stored in found.items():
        sent = [each for each in messages if each["room"] == room]
        assert texts(stored) == [each["text"] for each in sent]
        told_of = [event["message"] for event in stored if event["message"] is not None]
        ids |= {each["id"]: message["id"] for each, message in zip(sent, told_of, strict=True)}
        assert [message["reply_to"] for message in told_of] == [ids.get(each["reply_to"]) for each in sent]
        before = None
        for event in stored:
            if event["message"] is not None:
                before = int(event["message"]["client_id"].rpartition(":")[2])
                continue
            place = events.index(_as_in_the_file(event, room, before, events))
            events.pop(place)
    assert events == []


def _as_in_the_file(
    event: dict[str, Any], room: str, before: int | None, events: list[dict[str, Any]]
) -> dict[str, Any]:
    names = {"join": "log.joined", "part": "log.left", "nick": "log.renamed"}
    return next(
        each
        for each in events
        if (each["room"], each["after"], names[each["event"]], each["text"])
        == (room, before, event["kind"], event["body"]["text"])
    )
