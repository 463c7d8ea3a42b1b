"""What is done about a request that failed; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workers.errors import PoolSaturated, ServiceUnavailable, TaskTimedOut, WorkerDied

if TYPE_CHECKING:
    from workers.settings import Kind

Step = Literal["again", "in_process", "fail"]


def next_step(error: Exception, *, kind: Kind, idempotent: bool, retries_left: int, may_redo: bool) -> Step:
    """Return what follows `error`: the same again, a try in this process, or the error to the caller.

    A request that may have had an effect is repeated only if it is `idempotent`. What went wrong in the service is
    never repeated: it would go wrong again.
    """
    if isinstance(error, PoolSaturated):
        return "again" if retries_left > 0 else "fail"
    if not isinstance(error, (WorkerDied, TaskTimedOut, ServiceUnavailable)):
        return "fail"
    if not idempotent and getattr(error, "begun", False):
        return "fail"
    if isinstance(error, WorkerDied) and retries_left > 0:
        return "again"
    if isinstance(error, TaskTimedOut) and not error.begun:
        return "fail"  # it waited too long, which it may not any longer
    return "in_process" if kind == "process" and may_redo else "fail"
