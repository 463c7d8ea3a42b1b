from __future__ import annotations

import pytest

from workers import (
    Kind,
    PoolClosed,
    PoolSaturated,
    ServiceUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskTimedOut,
    WorkerDied,
)
from workers.bridges.steps import Step, next_step

DIED = WorkerDied("gone", begun=True)
DIED_UNBEGUN = WorkerDied("gone", begun=False)
LATE = TaskTimedOut("late", begun=True)
WAITED = TaskTimedOut("waited", begun=False)
FULL = PoolSaturated("full", retry_after_s=1.0, reason="queue_full")


@pytest.mark.parametrize(
    ("error", "kind", "idempotent", "retries_left", "step"),
    [
        (DIED, "process", True, 1, "again"),
        (DIED, "process", True, 0, "in_process"),
        (DIED, "process", False, 3, "fail"),
        (DIED_UNBEGUN, "process", False, 0, "in_process"),
        (DIED, "thread", True, 0, "fail"),
        (LATE, "process", True, 3, "in_process"),
        (LATE, "process", False, 3, "fail"),
        (LATE, "thread", True, 3, "fail"),
        (WAITED, "process", True, 3, "fail"),
        (FULL, "process", False, 1, "again"),
        (FULL, "process", True, 0, "fail"),
        (ServiceUnavailable("broken"), "process", False, 0, "in_process"),
        (ServiceUnavailable("broken"), "inline", True, 0, "fail"),
        (TaskFailed("a bug"), "process", True, 3, "fail"),
        (TaskCancelled("enough"), "process", True, 3, "fail"),
        (PoolClosed("closed"), "process", True, 3, "fail"),
    ],
)
def test_what_follows_an_error(
    error: Exception, kind: Kind, idempotent: bool, retries_left: int, step: Step
) -> None:
    found = next_step(error, kind=kind, idempotent=idempotent, retries_left=retries_left, may_redo=True)
    assert found == step


def test_nothing_is_done_in_this_process_where_that_is_not_wanted() -> None:
    assert next_step(DIED, kind="process", idempotent=True, retries_left=0, may_redo=False) == "fail"
