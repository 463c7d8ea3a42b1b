"""What the crash matrix does follows from its seed; what it wrote is read back whole, or not at all."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from chat.testing.crash_matrix import fates, mischief, server_log, wire
from chat.testing.crash_matrix.ledger import BEGUN, STORED, Ledger, Note, notes, path_of
from chat.testing.crash_matrix.mischief import Weather
from chat.testing.crash_matrix.plan import FOLLOWER, SABOTAGES, TYPES, Plan, accounts
from chat.testing.crash_matrix.server_log import Record
from chat.testing.crashes import STEPS

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(action_count=1_002, process_count=4, seed=7)


def test_everybody_sends_a_share_and_the_same_seed_is_the_same_plan() -> None:
    assert [PLAN.count_of(each) for each in PLAN.senders()] == [201, 201, 200, 200, 200]
    actions = list(PLAN.all())
    assert actions == list(PLAN.all())
    assert len({action.name for action in actions}) == 1_002
    assert actions != list(Plan(action_count=1_002, process_count=4, seed=8).all())


def test_all_kinds_occur_and_what_is_needed_was_sent_before() -> None:
    actions = list(PLAN.all())
    assert {action.kind for action in actions} == {each.name for each in TYPES}
    places = {action.name: place for place, action in enumerate(actions)}
    needy = [action for action in actions if action.needs]
    assert needy
    for action in needy:
        (needed,) = action.needs
        assert places[needed] < places[action.name]
        assert actions[places[needed]].kind == "ordered"


def test_in_a_longer_run_processes_live_longer() -> None:
    lives_s = [Plan(action_count=count).longest_life_s for count in (1_000, 10_000, 100_000, 1_000_000)]
    assert lives_s == [2.1, 3.0, 10.0, 10.0]


@pytest.mark.parametrize(
    "numbers",
    [
        {"process_count": 0},
        {"action_count": 4},
        {"limit_s": 0.0},
        {"lease_s": 0.0},
        {"sabotage": "everything"},
    ],
    ids=str,
)
def test_a_plan_that_makes_no_sense_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needed|above 0|can't be broken"):
        Plan(**numbers)


def test_in_the_long_run_processes_crash_at_each_step_and_meet_each_end() -> None:
    chance = Random(1)  # noqa: S311 - no secret
    drawn = [
        fates.drawn(chance, number, delivers=True, longest_s=3.0, lease_s=1.0) for number in range(1_000)
    ]
    assert {fate.step for fate in drawn if fate.kind == "crash"} == set(STEPS)
    assert {fate.kind for fate in drawn} == {"crash", "kill", "freeze", "stop"}
    assert all(fate.frozen_s > 1.0 for fate in drawn if fate.kind == "freeze")
    assert all(fate.nth >= 1 for fate in drawn if fate.kind == "crash")


def test_the_follower_crashes_where_it_comes_to() -> None:
    chance = Random(1)  # noqa: S311 - no secret
    drawn = [fates.drawn(chance, number, delivers=False, longest_s=3.0, lease_s=1.0) for number in range(100)]
    assert {fate.step for fate in drawn if fate.kind == "crash"} == {"adding", "added"}
    assert FOLLOWER in PLAN.senders()
    assert set(SABOTAGES) == {"ids", "calls", "order"}


def test_most_calls_go_well_and_each_mischief_happens() -> None:
    chance = Random(1)  # noqa: S311 - no secret
    drawn = [mischief.drawn(chance) for _ in range(20_000)]
    assert drawn.count(mischief.GOOD) > 15_000
    assert any(each.before_s > 0.5 for each in drawn)
    for fact in ("arrives_twice", "breaks_after", "hangs_up", "after_s"):
        assert any(getattr(each, fact) for each in drawn), fact
    assert Counter(each.answers_count for each in drawn).keys() == {0, 1, 2}
    assert not all(each.arrives for each in drawn)


def test_the_weather_changes_until_it_is_cleared_up() -> None:
    weather = Weather(Random(1), accounts(), 0.0)  # noqa: S311 - no secret
    seen = {weather.at(0.01 * turn, accounts()[turn % 4]) for turn in range(10_000)}
    assert seen == {wire.OK, wire.BROKEN, wire.TOO_MANY, wire.NOT_LOGGED_IN}
    (expired, *_) = sorted(weather.expired)
    weather.log_in(expired)
    assert expired not in weather.expired
    weather.clear_up()
    assert {weather.at(1_000.0 + turn, "account-1") for turn in range(100)} == {wire.OK}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_ledger_goes_on_where_its_sender_was_killed(folder: Path) -> None:
    ledger = Ledger("worker-1")
    ledger.note(BEGUN, 0, 9, 1)
    ledger.note(STORED, 0, 9, 2)
    ledger.note(BEGUN, 10, 19, 3)
    ledger.close()
    with (folder / path_of("worker-1")).open("a") as torn:
        torn.write("stored 10 1")

    again = Ledger("worker-1")
    assert again.next_number == 10
    again.note(STORED, 10, 19, 4)
    again.close()
    assert again.next_number == 20
    assert list(notes(folder / path_of("worker-1"))) == [
        Note(BEGUN, 0, 9, 1),
        Note(STORED, 0, 9, 2),
        Note(BEGUN, 10, 19, 3),
        Note(STORED, 10, 19, 4),
    ]
    assert list(notes(folder / "nobody.ledger")) == []


def test_a_torn_line_of_the_servers_log_does_not_count(folder: Path) -> None:
    path = folder / server_log.PATH
    assert list(server_log.records(path)) == []
    server_log.cut_off_torn_line(path)
    path.write_bytes(b'["effect","a/1","a/1","loose","k","b","c#1",5,200,false]\n["effect","a/2","a/2"')

    assert [record.name for record in server_log.records(path)] == ["a/1"]
    server_log.cut_off_torn_line(path)
    assert path.read_bytes().endswith(b"false]\n")
    assert list(server_log.records(path)) == [
        Record("effect", "a/1", "a/1", "loose", "k", "b", "c#1", 5, 200)
    ]


def test_lines_are_the_same_however_they_are_cut() -> None:
    data = b"".join(wire.encoded(wire.Reply(number=number, answer={"seq": number})) for number in range(5))
    for size in range(1, len(data)):
        lines = wire.Lines()
        found = [
            line for start in range(0, len(data), size) for line in lines.cut(data[start : start + size])
        ]
        assert [wire.decode_reply(line).number for line in found] == [0, 1, 2, 3, 4]
