"""How often a user may do things: each kind has its bound, each user their own, and what is refused was not done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from chat.domain.paces import CREATIONS
from chat.domain.refusals import TooOften, UnknownSession, WrongPassword
from chat.domain.search import SearchQuery
from tests.support.chat_domain import CHEAP_ACCOUNTS, ChatBench, open_bench
from tests.support.clocks import ManualClock
from tests.support.pictures import png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody

MAKING: Final[dict[str, Callable[[ChatBench, int, str], Awaitable[Any]]]] = {
    "create-space": lambda b, user, word: b.chat.spaces.create(user, word, name=word),
    "create-room": lambda b, user, word: b.chat.rooms.create(user, word, b.space, name=word),
    "create-group": lambda b, user, word: b.chat.groups.create(user, word, b.space, name=word),
    "create-invite": lambda b, user, word: b.chat.invites.create(user, word, b.space),
    "open-direct": lambda b, user, word: b.chat.direct.open(user, word, b.eve),
    "register-signing-key": lambda b, user, word: b.chat.signing_keys.register(
        user, word, algorithm="ed25519", public_key="A" * 43 + "="
    ),
    "set-avatar": lambda b, user, word: b.chat.profiles.set_avatar(user, word, png()),
}


@asynccontextmanager
async def paced(tmp_path: Path, **numbers: Any) -> AsyncIterator[tuple[ChatBench, ManualClock]]:
    """Open a chat with other numbers, once what the bench itself makes is forgotten."""
    clock = ManualClock()
    accounts = replace(CHEAP_ACCOUNTS, **numbers)
    async with open_bench(tmp_path / "chat.db", accounts=accounts, clock=clock) as bench:
        clock.advance(120.0)
        yield bench, clock


def test_everything_that_is_made_is_tried() -> None:
    assert MAKING.keys() == CREATIONS


@pytest.mark.parametrize("kind", MAKING)
async def test_who_makes_too_much_has_to_wait_and_nobody_else(tmp_path: Path, kind: str) -> None:
    async with paced(tmp_path, creations_per_minute=2) as (bench, clock):
        await bench.chat.tables.write("new_member", bench.space, bench.eve, 3, 0)
        for number in range(2):
            await bench.chat.spaces.create(bench.ann, f"s{number}", name="one")
        seen = await bench.chat.tables.one("recorded", bench.ann, "late")
        with pytest.raises(TooOften) as caught:
            await MAKING[kind](bench, bench.ann, "late")
        assert caught.value.details == {"retry_after_s": pytest.approx(30.0)}
        assert await bench.chat.tables.one("recorded", bench.ann, "late") is seen is None
        await bench.chat.messages.react(bench.ann, "r", (await bench.send()).id, "+1", is_on=True)
        await bench.chat.spaces.create(bench.eve, "e", name="hers")
        clock.advance(30.1)
        await MAKING[kind](bench, bench.ann, "late")


async def test_who_moves_read_markers_too_often_has_to_wait_and_still_can_edit(tmp_path: Path) -> None:
    async with paced(tmp_path, changes_per_s=1, change_burst_count=3) as (bench, clock):
        sent = [await bench.send() for _ in range(4)]
        move = bench.chat.read_markers.move
        for message in sent[:3]:
            await move(bench.bob, bench.room, message.seq)
        with pytest.raises(TooOften, match="read markers"):
            await move(bench.bob, bench.room, sent[3].seq)
        await bench.chat.messages.react(bench.bob, "r", sent[0].id, "+1", is_on=True)
        await move(bench.ann, bench.room, sent[3].seq)
        listed = msgspec.json.decode(await bench.chat.rooms.of_user(bench.bob))["rooms"]
        clock.advance(1.1)

        assert [each["read_seq"] for each in listed] == [sent[2].seq]
        assert (await move(bench.bob, bench.room, sent[3].seq))["seq"] == sent[3].seq


async def test_who_changes_too_much_has_to_wait_and_nobody_else(tmp_path: Path) -> None:
    async with paced(tmp_path, changes_per_s=1, change_burst_count=3) as (bench, clock):
        sent = await bench.send()
        for number in range(3):
            await bench.chat.messages.edit(bench.ann, f"e{number}", sent.id, f"{number}")
        with pytest.raises(TooOften, match="changes"):
            await bench.chat.messages.edit(bench.ann, "late", sent.id, "late")
        await bench.chat.messages.react(bench.bob, "r", sent.id, "+1", is_on=True)
        assert [each["content"] for each in await bench.messages()] == ["2"]
        clock.advance(1.1)
        await bench.chat.messages.edit(bench.ann, "late", sent.id, "late")


async def test_who_searches_too_much_has_to_wait_and_nobody_else(tmp_path: Path) -> None:
    async with paced(tmp_path, searches_per_minute=2) as (bench, clock):
        for _ in range(2):
            await bench.chat.search.find(bench.ann, SearchQuery(query="hello"))
        with pytest.raises(TooOften, match="searches"):
            await bench.chat.search.find(bench.ann, SearchQuery(query="hello"))
        await bench.chat.search.find(bench.bob, SearchQuery(query="hello"))
        clock.advance(30.1)
        await bench.chat.search.find(bench.ann, SearchQuery(query="hello"))


async def test_a_device_that_refreshes_too_often_has_to_wait_and_no_other(tmp_path: Path) -> None:
    async with paced(tmp_path, refreshes_per_minute=2) as (bench, clock):
        accounts = bench.chat.accounts
        phone = await accounts.register("zoe", PASSWORD)
        laptop = await accounts.login("zoe", PASSWORD)
        for _ in range(2):
            phone = await accounts.refresh(phone.refresh_token)
        with pytest.raises(TooOften):
            await accounts.refresh(phone.refresh_token)
        await accounts.refresh(laptop.refresh_token)
        clock.advance(30.1)
        await accounts.refresh(phone.refresh_token)


async def test_unknown_refresh_tokens_are_attempts_of_their_address_and_known_ones_are_not(
    tmp_path: Path,
) -> None:
    async with paced(tmp_path, login_attempts_per_minute=1, refreshes_per_minute=1_000) as (bench, _):
        accounts, address = bench.chat.accounts, "203.0.113.7"
        issued = await accounts.register("zoe", PASSWORD)
        for _ in range(20):
            issued = await accounts.refresh(issued.refresh_token, address=address)
        made_up = issued.refresh_token[:4] + issued.refresh_token[:3:-1]
        refused = 0
        for _ in range(20):
            try:
                await accounts.refresh(made_up, address=address)
            except TooOften:
                refused += 1
            except UnknownSession:
                continue
        assert refused == 10


async def test_each_change_of_a_password_is_an_attempt_right_or_wrong(tmp_path: Path) -> None:
    async with paced(tmp_path, login_attempts_per_minute=2) as (bench, clock):
        accounts = bench.chat.accounts
        issued = await accounts.register("zoe", PASSWORD)
        session = accounts.authenticate(f"Bearer {issued.access_token}".encode())
        await accounts.change_password(session, PASSWORD, "another password")
        with pytest.raises(WrongPassword):
            await accounts.change_password(session, "no password", "another password")
        with pytest.raises(TooOften):
            await accounts.change_password(session, "another password", PASSWORD)
        clock.advance(30.1)
        await accounts.change_password(session, "another password", PASSWORD)
