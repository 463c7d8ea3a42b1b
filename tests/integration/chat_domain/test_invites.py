"""Links let in who has one, as often and as long as they say; their secrets are nowhere in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from chat.domain.limits import ChatLimits
from chat.domain.permissions import Rank
from chat.domain.refusals import InvalidValue, LimitReached, NotFound, NotPermitted
from tests.support.chat_domain import open_bench
from tests.support.clocks import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench


async def links_of(bench: ChatBench, user_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(
        await bench.chat.invites.of_space(user_id, bench.space)
    )["invites"]
    return found


async def test_a_link_lets_in_as_often_as_it_says(bench: ChatBench) -> None:
    link = await bench.chat.invites.create(bench.bob, "i", bench.space, uses=1)
    joined = await bench.chat.invites.join(bench.eve, "j", link["secret"])
    assert joined["space_id"] == str(bench.space)
    assert (await bench.events(bench.space, bench.eve))[-1]["kind"] == "member.joined"

    zoe = await bench.user("zoe")
    with pytest.raises(NotFound, match="nowhere any more"):
        await bench.chat.invites.join(zoe, "j", link["secret"])
    again = await bench.chat.invites.join(bench.eve, "j", link["secret"])
    assert (again["duplicate"], again["space_id"]) == (True, str(bench.space))


async def test_of_many_who_come_at_once_as_many_get_in_as_the_link_says(bench: ChatBench) -> None:
    link = await bench.chat.invites.create(bench.ann, "i", bench.space, uses=3)
    users = [await bench.user(f"user{n}") for n in range(8)]
    refused = []

    async def join(user_id: int) -> None:
        try:
            await bench.chat.invites.join(user_id, "j", link["secret"])
        except NotFound:
            refused.append(user_id)

    async with anyio.create_task_group() as tasks:
        for user_id in users:
            tasks.start_soon(join, user_id)
    assert len(refused) == 5
    assert await links_of(bench, bench.ann) == []


async def test_who_is_in_already_uses_up_nothing(bench: ChatBench) -> None:
    link = await bench.chat.invites.create(bench.ann, "i", bench.space, uses=1)
    assert (await bench.chat.invites.join(bench.bob, "j", link["secret"]))["space_id"] == str(bench.space)
    assert (await links_of(bench, bench.ann))[0]["uses_left"] == 1


async def test_the_secret_is_told_once_and_kept_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with open_bench(path) as bench:
        link = await bench.chat.invites.create(bench.ann, "i", bench.space)
        again = await bench.chat.invites.create(bench.ann, "i", bench.space)
        assert "secret" not in again
        assert again["id"] == link["id"]
        await bench.chat.invites.join(bench.eve, "j", link["secret"])
    stored = await anyio.Path(path).read_bytes()  # the log beside it went when the last writer closed
    assert link["secret"].encode() not in stored
    assert link["secret"].removeprefix("dsi_").encode() not in stored
    assert bytes.fromhex(link["id"]) in stored


async def test_a_link_ends_with_its_time(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        link = await bench.chat.invites.create(bench.ann, "i", bench.space, age_s=60)
        clock.advance(60)
        with pytest.raises(NotFound, match="nowhere any more"):
            await bench.chat.invites.join(bench.eve, "j", link["secret"])


async def test_a_link_that_was_taken_away_or_never_was_leads_nowhere(bench: ChatBench) -> None:
    link = await bench.chat.invites.create(bench.ann, "i", bench.space)
    await bench.chat.invites.delete(bench.ann, "d", bench.space, link["id"])
    await bench.chat.invites.delete(bench.ann, "e", bench.space, link["id"])
    for secret in (link["secret"], "dsi_nothing", "", "'; DROP TABLE invite; --"):
        with pytest.raises(NotFound, match="nowhere"):
            await bench.chat.invites.join(bench.eve, "j", secret)


async def test_members_see_and_take_away_their_own_links_and_moderators_all(bench: ChatBench) -> None:
    invites = bench.chat.invites
    anns = await invites.create(bench.ann, "a", bench.space)
    bobs = await invites.create(bench.bob, "b", bench.space)
    assert [each["id"] for each in await links_of(bench, bench.bob)] == [bobs["id"]]
    assert {each["id"] for each in await links_of(bench, bench.ann)} == {anns["id"], bobs["id"]}
    with pytest.raises(NotFound):
        await invites.delete(bench.bob, "c", bench.space, anns["id"])
    with pytest.raises(NotFound):
        await invites.delete(bench.bob, "d", bench.space, "no hash")

    await bench.chat.members.change_role(bench.ann, "p", bench.space, bench.bob, Rank.MODERATOR)
    await invites.delete(bench.bob, "e", bench.space, anns["id"])
    assert [each["id"] for each in await links_of(bench, bench.ann)] == [bobs["id"]]


async def test_there_are_only_so_many_links_that_let_somebody_in(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_invites_per_space=1)) as bench:
        link = await bench.chat.invites.create(bench.ann, "a", bench.space, uses=1)
        with pytest.raises(LimitReached, match="1 links"):
            await bench.chat.invites.create(bench.ann, "b", bench.space)
        await bench.chat.invites.join(bench.eve, "j", link["secret"])
        await bench.chat.invites.create(bench.ann, "c", bench.space)


@pytest.mark.parametrize(("age_s", "uses"), [(0, 1), (1e9, 1), (60, 0), (60, 10_001)])
async def test_a_link_for_ever_or_for_nobody_is_refused(bench: ChatBench, age_s: float, uses: int) -> None:
    with pytest.raises(InvalidValue):
        await bench.chat.invites.create(bench.ann, "a", bench.space, age_s=age_s, uses=uses)


async def test_nobody_is_invited_to_a_conversation_of_two(bench: ChatBench) -> None:
    space_id = int((await bench.chat.direct.open(bench.ann, "d", bench.bob))["space_id"])
    with pytest.raises(NotPermitted, match="of two"):
        await bench.chat.invites.create(bench.ann, "a", space_id)
