"""Where each call's end is written down, once: its answer, its error, or that its caller left.

A call is *settled* when its caller has an answer or left, and *released* when its place is free again, which is
only once no worker has it any more.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from workers.body import Body, discard
from workers.doubts import Doubts
from workers.errors import TaskTimedOut
from workers.protocol import Response, SmallBody
from workers.statistics import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workers.admission import Admission
    from workers.protocol import Reply
    from workers.worker import Pending


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowCall:
    """A call that took long in its worker, whatever came of it."""

    method: str
    params: Any
    tenant: str
    run_us: int
    """Time in the service."""
    wait_us: int
    """All the time before and after that."""
    size_bytes: int
    """Of the answer where it is bytes; else 0."""


class Ledger:
    """Settles and releases calls, and counts."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.tally = Tally()
        self.doubts = Doubts()
        self.short_count = 0
        self.short_us = 0
        """The short calls that were answered, and their time in the service."""
        self.slow_us = sys.maxsize
        """From so long in the service on, `on_slow` is told of a call."""
        self.on_slow: Callable[[SlowCall], None] = lambda _: None
        self._idle: anyio.Event | None = None

    def take_common(
        self, in_flight: dict[int, Pending], replies: Iterable[Reply], now: float
    ) -> list[tuple[Pending | None, Reply]]:
        """Settle all plain results of short calls and return the rest, taken out of `in_flight` too, in order.

        This is the hot path, once a call: everything is in line, and sums are added up at the end.
        """
        rest: list[tuple[Pending | None, Reply]] = []
        admission, tally = self.admission, self.tally
        run_counts, wait_counts, slow_us = tally.run_us.counts, tally.wait_us.counts, self.slow_us
        run_total_us = wait_total_us = count = size_bytes = 0
        learns = bool(self.doubts)
        for reply in replies:
            pending = in_flight.pop(reply.seq, None)
            kind = type(reply)
            if kind is Response:
                value = reply.value  # type: ignore[union-attr]  # mypy does not narrow by `type() is`
            elif kind is SmallBody:
                value = Body((reply.value,))  # type: ignore[union-attr]
            else:
                rest.append((pending, reply))
                continue
            if (
                pending is None
                or pending.lane != "short"
                or pending.key is not None
                or pending.settled
                or pending.cancel_sent_at
            ):
                rest.append((pending, reply))
                continue
            pending.slot = None
            pending.settled = pending.released = True
            run_us = reply.run_us
            wait_us = int((now - pending.submitted_at) * 1e6) - run_us
            if learns:
                self.doubts.quick(pending.fingerprint)
            if run_us >= slow_us:
                self.tell_slow(pending, run_us, value, now)
            run_counts[run_us.bit_length()] += 1
            wait_counts[wait_us.bit_length()] += 1
            run_total_us += run_us
            wait_total_us += wait_us
            count += 1
            size_bytes += len(pending.tail)
            future = pending.future
            if not future.done():
                future.set_result(value)
            else:
                discard(value)
        admission.release("short", count, size_bytes)
        tally.completed_count += count
        tally.run_us.total_us += run_total_us
        self.short_count += count
        self.short_us += run_total_us
        tally.wait_us.total_us += wait_total_us
        self._note_idle()
        return rest

    def tell_slow(self, pending: Pending, run_us: int, value: Any, now: float) -> None:
        """Tell of a call that took long."""
        size_bytes = (
            value.length if isinstance(value, Body) else len(value) if isinstance(value, bytes) else 0
        )
        self.on_slow(
            SlowCall(
                method=pending.method,
                params=pending.params,
                tenant=pending.tenant,
                run_us=run_us,
                wait_us=max(0, int((now - pending.submitted_at) * 1e6) - run_us),
                size_bytes=size_bytes,
            )
        )

    def succeed(self, pending: Pending, value: Any, run_us: int) -> None:
        """Give a caller its result."""
        self.tally.wait_us.add(int((time.monotonic() - pending.submitted_at) * 1e6) - run_us)
        self.tally.completed_count += 1
        self.settle(pending)
        if pending.future.done():
            discard(value)
        else:
            pending.future.set_result(value)

    def fail(self, pending: Pending, error: Exception) -> None:
        """Give a caller an error."""
        if isinstance(error, TaskTimedOut):
            self.tally.timed_out_count += 1
        else:
            self.tally.failed_count += 1
        self.settle(pending)
        if not pending.future.done():
            pending.future.set_exception(error)

    def settle(self, pending: Pending) -> None:
        """Take note that nobody waits for a call any more, and free its place if no worker has it."""
        pending.settled = True
        if pending.slot is None:
            self.release(pending)

    def release(self, pending: Pending) -> None:
        """Free the place of a call that no worker has; again does nothing."""
        if pending.released:
            return
        pending.released = True
        pending.params = None
        if pending.attachments is not None:
            pending.attachments.close()
        self.admission.release(pending.lane, 1, len(pending.tail))
        self._note_idle()

    async def until_idle(self) -> None:
        """Return once no call is out."""
        if self.admission.outstanding_count:
            self._idle = anyio.Event()
            await self._idle.wait()

    def _note_idle(self) -> None:
        if self._idle is not None and not self.admission.outstanding_count:
            self._idle.set()
