"""No workers: the service runs on the event loop's own thread, a millisecond or so a turn.

For `USE_SQLITE_WORKERS=0`, for tests in virtual time, and as the last resort where neither processes nor threads
start. Bounds, order, deadlines and errors are the same as in the other kinds; isolation is not: while a call runs,
nothing else does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from workers.backends.building import NotBuilt, built_service, no_file
from workers.errors import ServiceUnavailable
from workers.protocol import PAGE_BYTES
from workers.runner import Runner
from workers.service import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.completion import Loop
    from workers.protocol import Reply
    from workers.settings import Kind
    from workers.worker import Events, Pending

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

TURN_S = 0.001
"""How long calls run before the loop gets a turn; a single call may take longer."""


class InlineBackend:
    """Makes the one worker that is no worker."""

    kind: Kind = "inline"

    def __init__(self, service: str, options: dict[str, Any], loop: Loop) -> None:
        self._service = service
        self._options = options
        self._loop = loop

    async def start(self, index: int, events: Events) -> InlineWorker:  # noqa: ARG002 - one for all
        """See `Backend`."""
        try:
            return InlineWorker(self._service, self._options, self._loop, events)
        except NotBuilt as error:
            raise ServiceUnavailable(f"{self._service} could not be built: {error}") from error


class InlineWorker:
    """Runs calls in callbacks of the loop."""

    def __init__(self, service: str, options: dict[str, Any], loop: Loop, events: Events) -> None:
        self.page: list[int] = [0] * (PAGE_BYTES // 8)
        self._loop = loop
        self._events = events
        self._replies: list[Reply] = []
        self._runner = Runner(
            built_service(service, options, self._note),
            emit=self._emit,
            log=self._note,
            page=self.page,
            progress=events.progressed,
        )
        self.is_batched = self._runner.is_batched
        self._turn_is_due = False

    def send(self, calls: Sequence[Pending]) -> None:
        """See `Worker`."""
        self._runner.offer([Call(each.seq, each.method, each.params, each.deadline) for each in calls])
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def send_requests(self, calls: Sequence[Pending]) -> None:
        """See `Worker`; buffers are shared here, so there are no files."""
        self.send(calls)

    def cancel(self, seq: int) -> None:
        """See `Worker`."""
        self._runner.cancel(seq)
        if self._replies and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def recall(self) -> None:
        """See `Worker`."""
        self._events.recalled(self._runner.recall())

    def ping(self) -> None:
        """See `Worker`; it is there."""
        self._events.ponged(0)

    def give_way(self) -> None:
        """See `Worker`."""

    def terminate(self) -> None:
        """See `Worker`; nothing runs when this is called."""

    def kill(self) -> bool:
        """See `Worker`; nothing runs when this is called."""
        return True

    async def stop(self, limit_s: float) -> None:  # noqa: ARG002 - nothing runs when this is called
        """See `Worker`."""
        self._runner.recall()
        self._runner.close()

    def _turn(self) -> None:
        self._turn_is_due = False
        ends_at = time.monotonic() + TURN_S
        while self._runner.run_next():
            if self.is_batched:
                self._deliver()
                self._runner.tend()
            if time.monotonic() > ends_at:
                break
        if self._runner.waiting_count and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)
        self._deliver()

    def _deliver(self) -> None:
        replies, self._replies = self._replies, []
        if replies:
            self._events.replied(replies, no_file)

    def _emit(self, reply: Reply) -> None:
        self._replies.append(reply)

    def _note(self, level: str, event: str, facts: dict[str, Any]) -> None:
        getattr(_log, level)(event, **facts)
