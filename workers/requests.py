"""Typed requests: encoded here, answered by a `MethodService`, with buffers beside them and progress meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from workers.answers import Answer
from workers.body import Outcome
from workers.buffers import MAX_COUNT
from workers.errors import InvalidResult
from workers.frames import MAX_MESSAGE_BYTES
from workers.protocol import encoder
from workers.settings import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.buffers import Input
    from workers.entrance import Entrance
    from workers.settings import Priority

R = TypeVar("R")
OnProgress = Callable[[int, "int | None", str], None]
"""Takes what is done, the total if it is known, and a note."""


async def asked(
    entrance: Entrance,
    method: str,
    params: Any,
    result: type[R],
    *,
    buffers: Sequence[Input],
    timeout_s: float | None,
    max_wait_s: float | None,
    priority: Priority,
    on_progress: OnProgress | None,
    idempotent: bool,
) -> Answer[R]:
    """Ask for `method` and return its result; see `Pool.request`."""
    if len(buffers) > MAX_COUNT:
        raise ValueError(f"{len(buffers)} buffers; at most {MAX_COUNT} are allowed")
    if priority not in PRIORITIES:
        raise ValueError(f"priority is {priority!r}; allowed are {', '.join(PRIORITIES)}")
    encoded = encoder.encode(params)
    if len(encoded) > MAX_MESSAGE_BYTES:
        raise ValueError(f"parameters of {len(encoded)} bytes; at most {MAX_MESSAGE_BYTES}: send buffers")
    attachments = await entrance.attached(buffers) if buffers else None
    try:
        pending = entrance.request(
            method, encoded, attachments, timeout_s, wants_progress=on_progress is not None
        )
        pending.priority = PRIORITIES.index(priority)
        pending.on_progress = on_progress
        pending.idempotent = idempotent
        if max_wait_s is not None:
            pending.begin_by = pending.submitted_at + max_wait_s
        entrance.admit(pending)
    except BaseException:
        if attachments is not None:
            attachments.close()
        raise
    try:
        outcome: Outcome | bytes = await entrance.answer_to(pending)
    finally:
        if attachments is not None and pending.released:  # else a worker has it still: see `Ledger.release`
            attachments.close()
    return _checked(outcome, method, result)


def _checked(outcome: Outcome | bytes, method: str, result: type[R]) -> Answer[R]:
    encoded, bodies = (outcome, ()) if isinstance(outcome, bytes) else (outcome.value, outcome.buffers)
    try:
        return Answer(msgspec.msgpack.decode(encoded, type=result), tuple(bodies))
    except msgspec.MsgspecError as error:
        for body in bodies:
            body.close()
        raise InvalidResult(f"{method}: {error}") from None
