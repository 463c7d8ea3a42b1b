"""The statements on lanes do what `chat.queue.lanes` says, from any state that a lane can be in."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.queue import lanes
from chat.queue.lanes import CAREFUL_COUNT, Lane
from tests.integration.chat.test_statements import STATEMENTS, migrated

if TYPE_CHECKING:
    from storage import Database

NOW_MS = 1_000
UNTIL_MS = 2_000
AGEING_MS = 300
ADD_LANE = """
INSERT INTO lane (id, key, topic, account, priority, due_ms, fence, owner, claim, claimed_to, careful, paused, blocked_by)
VALUES (?, ?, 'messages', '', ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_ACTION = """
INSERT INTO action (id, client_id, lane_id, type, version, state, in_lane, created_at_ms, changed_at_ms, digest)
VALUES (?, ?, ?, 'send-message', 1, 'queued', ?, 0, 0, x'')
"""
LANES = """
SELECT priority, due_ms, fence, owner, claimed_to, lapsed_to, careful, paused, blocked_by FROM lane WHERE id = ?
"""


class Found(Lane, frozen=True):
    """A lane with the actions that stand in it, and those that wait outside."""

    in_lane: tuple[int, ...] = ()
    outside: tuple[int, ...] = ()


@st.composite
def found_lanes(draw: st.DrawFn) -> list[Found]:
    number = 0
    found = []
    for _ in range(draw(st.integers(1, 5))):
        places = draw(st.lists(st.booleans(), max_size=6))
        ids = list(range(number + 1, number + 1 + len(places)))
        number += len(places)
        is_claimed = draw(st.booleans())
        found.append(
            Found(
                priority=draw(st.integers(0, 2)),
                due_ms=draw(st.none() | st.integers(NOW_MS - 500, NOW_MS + 500)),
                fence=draw(st.integers(0, 3)),
                owner="p-other" if is_claimed else None,
                claimed_to=draw(st.none() | st.integers(0, number)) if is_claimed else None,
                careful=draw(st.integers(0, 2)),
                paused=draw(st.sampled_from([0, 0, 0, 1, 2, 3])),
                in_lane=tuple(id_ for id_, stands in zip(ids, places, strict=True) if stands),
                outside=tuple(id_ for id_, stands in zip(ids, places, strict=True) if not stands),
            )
        )
    return found


async def stored(db: Database, found: list[Found]) -> None:
    named: list[tuple[str, Any]] = []
    for number, lane in enumerate(found, start=1):
        claim = None if lane.owner is None else 1
        facts = (
            lane.priority,
            lane.due_ms,
            lane.fence,
            lane.owner,
            claim,
            lane.claimed_to,
            lane.careful,
            lane.paused,
        )
        named.append((ADD_LANE, (number, f"lane {number}", *facts, lane.blocked_by)))
        ids = sorted([(id_, 1) for id_ in lane.in_lane] + [(id_, 0) for id_ in lane.outside])
        named += [(ADD_ACTION, (id_, f"client {id_}", number, stands)) for id_, stands in ids]
    await db.execute_batch(named)
    # the trigger has made empty lanes due
    await db.execute_batch(
        [
            ("UPDATE lane SET due_ms = ? WHERE id = ?", (lane.due_ms, n))
            for n, lane in enumerate(found, start=1)
        ]
    )


async def as_stored(db: Database, number: int) -> Lane:
    (row,) = await db.query(LANES, (number,))
    names = (
        "priority",
        "due_ms",
        "fence",
        "owner",
        "claimed_to",
        "lapsed_to",
        "careful",
        "paused",
        "blocked_by",
    )
    return Lane(**dict(zip(names, row, strict=True)))


def plain(lane: Lane) -> Lane:
    return Lane(**{name: getattr(lane, name) for name in Lane.__struct_fields__})


async def check_claims(folder: Path, found: list[Found], lane_count: int, most: int) -> None:
    async with migrated(folder) as db:
        await stored(db, found)
        topics = json.dumps([["messages", priority] for priority in range(3)])
        params = ("p-me", 7, NOW_MS, UNTIL_MS, lane_count, most, topics, AGEING_MS, CAREFUL_COUNT)
        await db.execute(STATEMENTS["claim"], params)
        ((returned,),) = await db.query(STATEMENTS["claimed_lanes"], ("p-me", 7))
        after = [await as_stored(db, number) for number in range(1, len(found) + 1)]

    ranks = {
        number: lanes.rank_ms(lane, AGEING_MS)
        for number, lane in enumerate(found, start=1)
        if lanes.is_claimable(lane, NOW_MS)
    }
    claimed = {row[0] for row in json.loads(returned)}
    assert sorted(ranks[number] for number in claimed) == sorted(ranks.values())[:lane_count]
    for number, lane in enumerate(found, start=1):
        expected = lanes.claimed(lane, "p-me", UNTIL_MS, lane.in_lane, most) if number in claimed else lane
        assert after[number - 1] == plain(expected)


@settings(max_examples=25, deadline=None)
@given(found_lanes(), st.integers(1, 4), st.integers(1, 4))
def test_the_lanes_that_are_due_for_longest_are_claimed_with_a_prefix_of_each(
    found: list[Found], lane_count: int, most: int
) -> None:
    with TemporaryDirectory() as folder:
        anyio.run(check_claims, Path(folder), found, lane_count, most)


async def check_release(
    folder: Path, found: list[Found], fence: int, blocked_by: int | None, careful: int
) -> None:
    async with migrated(folder) as db:
        await stored(db, found)
        numbers = range(1, len(found) + 1)
        said = json.dumps([[number, fence, 1_234, blocked_by, careful] for number in numbers])
        renewed = json.dumps([[number, fence] for number in numbers])
        await db.execute(STATEMENTS["renew"], (renewed, UNTIL_MS))
        kept = [await as_stored(db, number) for number in numbers]
        await db.execute(STATEMENTS["release"], (said,))
        after = [await as_stored(db, number) for number in numbers]

    for lane, between, at_last in zip(found, kept, after, strict=True):
        held = lanes.renewed(lane, fence, UNTIL_MS)
        assert between == plain(held)
        given_back = lanes.released(
            held, fence, due_ms=1_234, blocked_by=blocked_by, careful=careful, has_more=bool(lane.in_lane)
        )
        assert at_last == plain(given_back)


@settings(max_examples=25, deadline=None)
@given(found_lanes(), st.integers(0, 3), st.none() | st.just(1), st.integers(0, 2))
def test_a_lane_is_renewed_and_given_back_only_by_its_latest_claim(
    found: list[Found], fence: int, blocked_by: int | None, careful: int
) -> None:
    with TemporaryDirectory() as folder:
        anyio.run(check_release, Path(folder), found, fence, blocked_by, careful)


def test_nothing_but_the_latest_fence_is_accepted() -> None:
    lane = lanes.claimed(Lane(due_ms=0), "p-a", 10, [1], 5)
    again = lanes.claimed(lane, "p-b", 20, [1], 5)

    assert (lane.fence, again.fence, again.lapsed_to, again.claimed_to) == (1, 2, 1, 1)
    assert not lanes.accepts(again, lane.fence)
    assert lanes.renewed(again, lane.fence, 99) == again
    assert lanes.released(again, lane.fence, due_ms=0, has_more=True) == again
    assert replace(again, due_ms=99) == lanes.renewed(again, again.fence, 99)
