"""From a worker's reply to what its caller gets: a value or an error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workers.body import Body, Outcome
from workers.errors import TaskCancelled, TaskFailed, TaskTimedOut, restored
from workers.protocol import Failure, LargeResponse, Parcel, SmallBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.protocol import Reply
    from workers.worker import Pending


def value_of(reply: Reply, file_of: Callable[[], int]) -> Any:
    """Return what a reply gives its caller; None for a failure.

    Raises:
        LookupError: The file that it speaks of did not come.
    """
    if isinstance(reply, LargeResponse):
        return Body.from_file(file_of(), reply.length)
    if isinstance(reply, SmallBody):
        return Body((reply.value,))
    if isinstance(reply, Parcel):
        return Outcome(reply.value, [_body_of(each, file_of) for each in reply.buffers])
    return None if isinstance(reply, Failure) else reply.value


def _body_of(buffer: bytes | int, file_of: Callable[[], int]) -> Body:
    return Body.from_file(file_of(), buffer) if isinstance(buffer, int) else Body((buffer,))


def error_of(pending: Pending, failure: Failure) -> Exception:
    """Return what the caller of a call that failed is told."""
    was_late = pending.settling or time.monotonic() > pending.deadline
    match failure.name:
        case "timed_out":
            error: Exception = TaskTimedOut(failure.message, begun=False)
        case "cancelled" if pending.settling:
            error = TaskTimedOut("the deadline passed before it ran", begun=False)
        case "stopped" if was_late:
            error = TaskTimedOut("the deadline passed while it ran", begun=True)
        case "cancelled" | "stopped":
            error = TaskCancelled(failure.message)
        case "failed":
            error = TaskFailed(failure.message)
        case name:
            error = restored(name, failure.message, failure.details)
    return error
