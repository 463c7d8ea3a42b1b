"""Workers that are killed at random under load lose nothing, double nothing and leave nothing behind."""

from __future__ import annotations

import pytest

from tests.crash.kills.__main__ import outcome_of

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
