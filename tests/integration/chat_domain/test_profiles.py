"""Profiles and pictures: merged by versions, told once, seen by those who share a space."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from typing_extensions import override

from chat.domain.acting import Acting
from chat.domain.limits import ChatLimits
from chat.domain.permissions import Rank
from chat.domain.profile_fields import checked_change
from chat.domain.profiles import Profiles
from chat.domain.refusals import ClientIdReused, InvalidValue, NotFound, VersionConflict
from chat.domain.sessions import Session
from chat.domain.tables import Tables
from storage import Earlier
from tests.support.chat_domain import open_bench
from tests.support.pictures import PICTURES, png

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from chat.domain.tables import Step
    from storage import Written
    from tests.support.chat_domain import ChatBench

HOSTILE = [
    "'; DROP TABLE user; --",
    "<script>alert(1)</script>",
    '"}, "x": {"',
    "%s {0} ${7*7}",
    "\u202eevil",
]


OTHERS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "page": b"<!doctype html><script>alert(1)</script>",
    "script": b"#!/bin/sh\nrm -rf /\n",
    "program": b"\x7fELF\x02\x01\x01" + bytes(57),
    "pdf": b"%PDF-1.7\n",
    "nothing known": bytes(100),
    "a late picture": b" " * 20 + png(),
    "database": b"SQLite format 3\x00" + bytes(84),
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ChatBench]:
    async with open_bench(tmp_path / "chat.db", limits=ChatLimits(max_settings_bytes=10_000)) as bench:
        yield bench


@pytest.fixture
def profiles(bench: ChatBench) -> Profiles:
    return bench.chat.profiles


async def seen(bench: ChatBench, viewer: int, user: int) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await bench.chat.profiles.get(viewer, user))
    return found


async def test_fields_are_merged_and_a_null_takes_one_away(bench: ChatBench, profiles: Profiles) -> None:
    first = await profiles.update(bench.ann, bench.client_id(), {"bio": "I garden.", "city": "Oslo"})
    second = await profiles.update(
        bench.ann, bench.client_id(), {"city": None, "display_name": "Ann L."}, version=first["version"]
    )

    found = await seen(bench, bench.bob, bench.ann)
    assert (found["display_name"], found["fields"]) == ("Ann L.", {"bio": "I garden."})
    assert (first["version"], second["version"], found["version"]) == (2, 3, 3)


async def test_who_knows_an_older_version_is_told_the_present_one(
    bench: ChatBench, profiles: Profiles
) -> None:
    await profiles.update(bench.ann, bench.client_id(), {"city": "Oslo"}, version=1)
    with pytest.raises(VersionConflict) as refused:
        await profiles.update(bench.ann, bench.client_id(), {"city": "Rome"}, version=1)

    assert refused.value.details["current"] == {
        "version": 2,
        "display_name": "Ann",
        "fields": {"city": "Oslo"},
    }
    assert (await seen(bench, bench.ann, bench.ann))["fields"] == {"city": "Oslo"}


async def test_of_many_changes_of_one_version_at_once_one_wins(bench: ChatBench, profiles: Profiles) -> None:
    outcomes: list[str] = []

    async def change(number: int) -> None:
        try:
            await profiles.update(bench.ann, bench.client_id(), {"city": f"{number}"}, version=1)
        except VersionConflict:
            outcomes.append("conflict")
        else:
            outcomes.append("won")

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(change, number)

    assert sorted(outcomes) == ["conflict"] * 7 + ["won"]


async def test_the_same_change_again_is_answered_as_the_first_time(
    bench: ChatBench, profiles: Profiles
) -> None:
    first = await profiles.update(bench.ann, "x", {"city": "Oslo"})
    await profiles.update(bench.ann, "y", {"city": "Rome"})
    again = await profiles.update(bench.ann, "x", {"city": "Oslo"})

    assert again == {**first, "duplicate": True}
    assert (await seen(bench, bench.ann, bench.ann))["fields"] == {"city": "Rome"}
    with pytest.raises(ClientIdReused):
        await profiles.update(bench.ann, "x", {"city": "Bonn"})


async def test_a_change_to_what_is_there_is_a_success_and_told_to_nobody(
    bench: ChatBench, profiles: Profiles
) -> None:
    await profiles.update(bench.ann, bench.client_id(), {"city": "Oslo"})
    answer = await profiles.update(bench.ann, bench.client_id(), {"city": "Oslo"}, version=1)

    assert (answer["version"], answer["duplicate"]) == (2, False)
    events = await bench.events(bench.ann)
    assert [each["kind"] for each in events].count("user.changed") == 1


async def test_texts_are_kept_as_they_are(bench: ChatBench, profiles: Profiles) -> None:
    for text in HOSTILE:
        await profiles.update(bench.ann, bench.client_id(), {"display_name": text, "bio": text})
        found = await seen(bench, bench.bob, bench.ann)
        assert (found["display_name"], found["fields"]) == (text, {"bio": text})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"display_name": None},
        {"display_name": ""},
        {"display_name": "x" * 101},
        {"display_name": "two\nlines"},
        {"": "x"},
        {"Bio": "x"},
        {"a b": "x"},
        {"$.bio": "x"},
        {"a" * 33: "x"},
        {"bio": "x" * 4_001},
        {"bio": "\x00"},
        {f"field_{number}": "x" for number in range(51)},
    ],
    ids=lambda fields: (
        f"{len(fields)} {next(iter(fields), '')[:9]}{str(next(iter(fields.values()), ''))[:4]!r}"
    ),
)
def test_a_field_that_breaks_its_rule_is_refused(fields: dict[str, str | None]) -> None:
    with pytest.raises(InvalidValue):
        checked_change(fields)


async def test_a_profile_that_would_be_too_long_is_refused_whole(
    bench: ChatBench, profiles: Profiles
) -> None:
    await profiles.update(bench.ann, bench.client_id(), {"a": "x" * 4_000, "b": "x" * 4_000})
    with pytest.raises(InvalidValue, match="10000"):
        await profiles.update(bench.ann, bench.client_id(), {"c": "ü" * 2_000, "display_name": "New"})

    found = await seen(bench, bench.ann, bench.ann)
    assert (found["display_name"], set(found["fields"])) == ("Ann", {"a", "b"})


async def test_only_those_who_share_a_space_see_a_profile_or_a_picture(
    bench: ChatBench, profiles: Profiles
) -> None:
    await profiles.set_avatar(bench.ann, bench.client_id(), png())
    for viewer, sees in ((bench.ann, True), (bench.bob, True), (bench.eve, False)):
        for look in (profiles.get, profiles.avatar):
            if sees:
                assert await look(viewer, bench.ann)
            else:
                with pytest.raises(NotFound):
                    await look(viewer, bench.ann)
    with pytest.raises(NotFound):
        await profiles.get(bench.ann, 999_999)

    await bench.member(bench.eve)
    assert await profiles.get(bench.eve, bench.ann)


async def test_a_user_knows_themselves(bench: ChatBench, profiles: Profiles) -> None:
    found = msgspec.json.decode(await profiles.me(Session(user_id=bench.ann, device_id=7, name="ann")))

    assert (found["id"], found["name"], found["device"]) == (str(bench.ann), "ann", "7")
    assert (found["server_role"], found["avatar"]) == (None, None)
    assert found["last_seq"] == len(await bench.events(bench.ann))


async def test_a_user_is_found_by_the_whole_name_and_no_more_is_told(
    bench: ChatBench, profiles: Profiles
) -> None:
    card = {"id": str(bench.ann), "name": "ann", "display_name": "Ann"}
    for name, expected in (
        ("ann", [card]),
        ("ANN", [card]),
        ("an", []),
        ("a%", []),
        *((each, []) for each in HOSTILE),
    ):
        assert msgspec.json.decode(await profiles.named(name)) == {"users": expected}
    await bench.chat.accounts.users.set_disabled("ann", is_disabled=True)
    assert msgspec.json.decode(await profiles.named("ann")) == {"users": []}


async def changed(bench: ChatBench, viewer: int, after: int = 0, limit: int = 100) -> tuple[list[str], int]:
    found = msgspec.json.decode(await bench.chat.profiles.changed(viewer, after=after, limit=limit))
    return [each["name"] for each in found["users"]], found["position"]


async def test_who_was_away_is_told_who_changed_since_in_one_answer(
    bench: ChatBench, profiles: Profiles
) -> None:
    await profiles.update(bench.ann, bench.client_id(), {"city": "Oslo"})
    await profiles.update(bench.bob, bench.client_id(), {"city": "Rome"})
    await profiles.update(bench.eve, bench.client_id(), {"city": "Bonn"})
    names, position = await changed(bench, bench.bob)
    assert names == ["ann", "bob"]
    assert await changed(bench, bench.eve) == (
        ["eve"],
        position + (await changed(bench, bench.eve))[1] - position,
    )

    assert await changed(bench, bench.bob, position) == ([], position)
    await bench.send()
    await profiles.set_avatar(bench.ann, bench.client_id(), png())
    assert (await changed(bench, bench.bob, position))[0] == ["ann"]


async def test_changes_are_paged_without_leaving_anybody_out(bench: ChatBench, profiles: Profiles) -> None:
    names = [f"user-{number}" for number in range(7)]
    for name in names:
        user = await bench.user(name)
        await bench.member(user)
        await profiles.update(user, bench.client_id(), {"city": "Oslo"})
    await profiles.update(bench.ann, bench.client_id(), {"city": "Oslo"})
    seen_names, position = [], 0
    while True:
        page, position = await changed(bench, bench.bob, position, limit=3)
        if not page:
            break
        seen_names += page

    assert seen_names == [*names, "ann"]


async def in_spaces(bench: ChatBench, count: int) -> None:
    """Put Ann and Bob into so many more spaces."""
    steps: list[Step] = []
    for number in range(count):
        made = Earlier(4 * number, "id")
        steps += [
            ("new_stream", ("space", "e")),
            ("new_space", (made, "space", '{"name":"More"}', False, None, 0)),
            ("new_member", (made, bench.ann, Rank.OWNER, 0)),
            ("new_member", (made, bench.bob, Rank.MEMBER, 0)),
        ]
    if steps:
        await bench.chat.tables.write_all(steps)


class CountedTables(Tables):
    """Tables that keep what they were asked."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables._database, tables._statements)
        self.on_written = tables.on_written
        self.asked: list[str] = []

    @override
    async def one(self, name: str, *params: Any) -> tuple[Any, ...] | None:
        self.asked.append(name)
        return await super().one(name, *params)

    @override
    async def text(self, name: str, *params: Any) -> bytes:
        self.asked.append(name)
        return await super().text(name, *params)

    @override
    async def write_all(self, steps: Sequence[Step]) -> list[Written]:
        self.asked += [name for name, _ in steps]
        return await super().write_all(steps)


async def test_a_change_costs_the_same_questions_events_and_bytes_in_1_50_and_1000_spaces(
    bench: ChatBench,
) -> None:
    chat = bench.chat
    tables = CountedTables(chat.tables)
    profiles = Profiles(tables, Acting(tables, chat.clock, chat.paces), chat.limits, chat.profiles._bridges)
    costs: list[tuple[Any, ...]] = []
    for more, name in ((0, "in 0001"), (49, "in 0050"), (950, "in 1000")):
        await in_spaces(bench, more)
        row = await chat.tables.one("feed_end")
        assert row is not None
        tables.asked.clear()
        answer = await profiles.update(bench.ann, f"id-{name[3:]}", {"city": name}, version=len(costs) + 1)
        profile = await profiles.get(bench.bob, bench.ann)
        page = msgspec.json.decode(await profiles.changed(bench.bob, after=row[0], limit=10))["users"]
        told = [each[3] for each in await chat.tables.all("feed", row[0], 100)]
        costs.append(
            (list(tables.asked), told, len(msgspec.json.encode(answer)), len(profile), page[0]["name"])
        )

    assert costs[0] == costs[1] == costs[2]
    assert costs[0][:2] == (
        ["record", "update_profile", "tell", "note_number", "recorded", "profile", "changed_profiles"],
        ["user.changed"],
    )


async def test_the_question_for_changes_walks_no_table(bench: ChatBench) -> None:
    sql = bench.chat.tables._statements["changed_profiles"]
    plan = await bench.chat.tables._database.query(f"EXPLAIN QUERY PLAN {sql}", [bench.ann, 0, 10])
    steps = [row[-1] for row in plan]

    assert any("event_of_profile" in step for step in steps)
    assert [
        step
        for step in steps
        if step.startswith("SCAN") and "event_of_profile" not in step and "(" not in step
    ] == []


async def test_a_picture_is_known_by_its_content(bench: ChatBench, profiles: Profiles) -> None:
    for kind, image in PICTURES.items():
        answer = await profiles.set_avatar(bench.ann, bench.client_id(), image)
        assert (
            answer["avatar"]
            == sha256(image).hexdigest()
            == (await seen(bench, bench.bob, bench.ann))["avatar"]
        )
        assert await profiles.avatar(bench.bob, bench.ann) == (kind, sha256(image).digest(), image)
        assert (await profiles.avatar(bench.bob, bench.ann, known=sha256(image).digest())).image is None


async def test_what_is_no_picture_is_refused_whatever_it_calls_itself(
    bench: ChatBench, profiles: Profiles
) -> None:
    for content in OTHERS.values():
        with pytest.raises(InvalidValue, match="image/png"):
            await profiles.set_avatar(bench.ann, bench.client_id(), content)
    with pytest.raises(NotFound):
        await profiles.avatar(bench.ann, bench.ann)


async def test_a_picture_that_is_empty_or_too_large_is_refused(bench: ChatBench, profiles: Profiles) -> None:
    most = bench.chat.limits.max_avatar_bytes
    await profiles.set_avatar(bench.ann, bench.client_id(), png() + bytes(most - len(png())))
    for content in (b"", png() + bytes(most - len(png()) + 1)):
        with pytest.raises(InvalidValue, match="allowed"):
            await profiles.set_avatar(bench.ann, bench.client_id(), content)


async def test_a_picture_is_set_and_taken_away_once(bench: ChatBench, profiles: Profiles) -> None:
    first = await profiles.set_avatar(bench.ann, "x", png())
    assert await profiles.set_avatar(bench.ann, "x", png()) == {**first, "duplicate": True}
    await profiles.set_avatar(bench.ann, "y", png())
    with pytest.raises(ClientIdReused):
        await profiles.set_avatar(bench.ann, "x", png(1))
    await profiles.delete_avatar(bench.ann, "z")
    await profiles.delete_avatar(bench.ann, "again")

    with pytest.raises(NotFound):
        await profiles.avatar(bench.ann, bench.ann)
    kinds = [each["kind"] for each in await bench.events(bench.ann)]
    assert kinds.count("user.changed") == 2


async def test_a_role_in_a_space_gives_nobody_a_right_to_the_profile_of_another(bench: ChatBench) -> None:
    """There is no way to say whose profile is to change: it is that of who asks."""
    await bench.member(bench.eve, Rank.ADMIN)
    await bench.chat.profiles.update(bench.eve, bench.client_id(), {"display_name": "Owner"})

    assert (await seen(bench, bench.eve, bench.ann))["display_name"] == "Ann"
