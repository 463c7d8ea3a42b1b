"""Workers that are killed at random under load lose nothing, double nothing and leave nothing behind."""

from __future__ import annotations

import pytest

from tests.crash.kills.__main__ import COLUMNS, in_turn, outcome_of

KILLS = {"ours, processes": 100, "ours, threads": 200}


@pytest.mark.parametrize("name", list(KILLS))
def test_no_call_is_lost_or_doubled_and_nothing_is_left_over_when_workers_are_killed(name: str) -> None:
    outcome = outcome_of(name, KILLS[name], limit_s=45.0, every_s=0.05)
    counts = (outcome.wrong, outcome.missing, outcome.doubled, outcome.untrue, outcome.hung, outcome.note)
    assert counts == (0, 0, 0, 0, 0, "")
    assert outcome.kills == KILLS[name]
    assert outcome.answered > outcome.kills
    assert outcome.before is not None
    assert outcome.after is not None
    assert outcome.after.files <= outcome.before.files + 20  # a worker that is starting holds some
    assert outcome.after.threads <= outcome.before.threads + 4
    assert outcome.after.resident_mb < outcome.before.resident_mb + 20


def test_who_runs_it_is_told_which_pool_runs_and_what_became_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = in_turn(["ours, threads"], kills=1, limit_s=10.0, every_s=0.01)
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("1 of 1: ours, threads; 1 kills, ")
    assert told[1].split()[:2] == list(COLUMNS[:2])
    assert told[2].split()[:2] == rows[0][0].split()
    assert [len(row) for row in rows] == [len(COLUMNS)]
