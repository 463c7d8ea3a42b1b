"""Whatever members do, in any order and twice: the tables are what a model says, and so is what the events tell."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any, get_args

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.domain.permissions import Rank
from tests.support.chat_domain import ChatBench, open_bench
from tests.support.chat_model import Kind, Message, Space, Step, deed_of

WORDS = ("apple", "pear", "plum pear")

KINDS: tuple[Kind, ...] = ("send", "react", "edit", "pin", "mute", "role", "join", "revive", *get_args(Kind))
ACTORS = (0, 0, 0, 1, 2)
TARGETS = (0, 0, 0, 1, 2, 3)

steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(KINDS),
        by=st.sampled_from(ACTORS),
        target=st.sampled_from(TARGETS),
        text=st.sampled_from(WORDS),
        rank=st.sampled_from(Rank),
    ),
    max_size=30,
)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Each example has a loop and a folder of its own, which are made and taken away here."""


@given(steps=steps)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_tables_and_events_are_what_the_model_says(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_tried, Path(folder), steps)


@pytest.mark.parametrize("seed", [1, 2])
def test_so_they_are_after_a_long_day(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    day = [
        Step(
            kind=random.choice(KINDS),
            by=random.choice(ACTORS),
            target=random.choice(TARGETS),
            text=random.choice(WORDS),
            rank=random.choice(list(Rank)),
        )
        for _ in range(350)
    ]
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_tried, Path(folder), day)


async def _tried(folder: Path, steps: list[Step]) -> None:
    async with open_bench(folder / "chat.db") as bench:
        await bench.chat.spaces.open_to_all(bench.ann, "open", bench.space, is_open=True)
        space = Space({bench.ann: Rank.OWNER, bench.bob: Rank.MEMBER})
        for number, step in enumerate(steps):
            await _done(bench, space, step, f"step-{number}")
        reader = next(user for user, rank in space.members.items() if rank == Rank.OWNER)
        await _tables_are_as(bench, space, reader)
        await _events_tell(bench, space, reader)
        await _streams_are_dense_and_words_are_found(bench)


async def _done(bench: ChatBench, space: Space, step: Step, client_id: str) -> None:
    users = (bench.ann, bench.bob, bench.eve)
    user, other = users[step.by], users[(step.target + 1) % 3]
    message = space.messages[-1 - step.target % len(space.messages)] if space.messages else None
    expected = space.expected(step, user, other, message)
    named = "999" if message is None else message.id
    if expected is not None:
        with pytest.raises(expected) as refused:
            await deed_of(bench, step, user, other, named, client_id=client_id)
        assert refused.type is expected
        return
    answer = await deed_of(bench, step, user, other, named, client_id=client_id)
    again = await deed_of(bench, step, user, other, named, client_id=client_id)
    if step.kind == "send":
        assert (again.id, again.duplicate) == (answer.id, True)
        space.messages.append(Message(answer.id, user, step.text))
    else:
        assert again == {**answer, "duplicate": True}
        space.apply(step, user, other, message)


async def _tables_are_as(bench: ChatBench, space: Space, reader: int) -> None:
    found = await bench.messages(reader)
    assert [
        (
            each["id"],
            each["content"],
            {(one["emoji"], int(one["user"])) for one in each["reactions"]},
            each["is_pinned"],
        )
        for each in found
    ] == [(each.id, each.content, each.reactions, each.is_pinned) for each in space.messages]
    before = await _rows(bench, "SELECT message_id, content FROM message_edit ORDER BY message_id, number")
    assert before == [(int(each.id), text) for each in space.messages for text in each.before]
    members = await _rows(bench, "SELECT user_id, rank FROM member WHERE space_id = ?", bench.space)
    assert dict(members) == space.members
    muted = await _rows(bench, "SELECT user_id FROM mute WHERE space_id = ?", bench.space)
    assert {user for (user,) in muted} == space.muted
    assert await _rows(bench, "SELECT member_count FROM space WHERE id = ?", bench.space) == [(len(members),)]


async def _events_tell(bench: ChatBench, space: Space, reader: int) -> None:
    """Replay the events from the first one, as a client does that has nothing yet."""
    told: dict[str, Message] = {}
    for event in await bench.events(bench.room, reader):
        about, user = event["message"], int(event["actor"])
        match event["kind"]:
            case "message.created":
                told[about["id"]] = Message(about["id"], user, about["content"])
            case "message.edited":
                told[about["id"]].content = about["content"]
            case "message.deleted":
                told[about["id"]] = Message(about["id"], int(about["sender"]), None)
            case "reaction.added":
                told[about["id"]].reactions.add((event["body"]["emoji"], user))
            case "reaction.removed":
                told[about["id"]].reactions.remove((event["body"]["emoji"], user))
            case "pin.added" | "pin.removed":
                told[about["id"]].is_pinned = event["kind"] == "pin.added"
    assert [(each.id, each.content, each.reactions, each.is_pinned) for each in told.values()] == [
        (each.id, each.content, each.reactions, each.is_pinned) for each in space.messages
    ]
    roles = {str(bench.bob): "member"}  # the bench put him in without a word
    for event in await bench.events(bench.space, reader):
        body = event["body"] or {}
        match event["kind"]:
            case "member.joined" | "member.changed":
                roles[body["user"]] = body["role"]
            case "member.left" | "member.kicked":
                del roles[body["user"]]
    assert roles == {str(user): rank.role for user, rank in space.members.items()}


async def _streams_are_dense_and_words_are_found(bench: ChatBench) -> None:
    assert (
        await _rows(
            bench,
            "SELECT stream.id, last_seq, count(event.seq), max(event.seq) FROM stream LEFT JOIN event ON stream_id = stream.id "
            "GROUP BY stream.id HAVING last_seq <> count(event.seq) OR last_seq <> coalesce(max(event.seq), 0)",
        )
        == []
    )
    for word in ("apple", "pear", "plum"):
        by_index = await _rows(
            bench, "SELECT rowid FROM message_text WHERE message_text MATCH ? ORDER BY rowid", word
        )
        by_reading = await _rows(
            bench, "SELECT id FROM message WHERE content LIKE ? ORDER BY id", f"%{word}%"
        )
        assert by_index == by_reading, word


async def _rows(bench: ChatBench, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    return await bench.chat.tables._database.query(sql, params)
