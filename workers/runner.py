"""What every worker does with the calls it is given, whatever its kind.

The three kinds differ in how calls reach a runner and how replies leave it, and in nothing else: a rival's inline
mode drifted from its threaded one (datasette#2859), so here they are the same code.

A lock covers "which call runs" and "which calls wait". `service.interrupt` is called under it, so an interrupt
can't hit the next statement.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from workers.errors import PortableError, TaskCancelled, portable_name
from workers.protocol import (
    CANCELLED,
    FAILED,
    FIRST,
    LAST,
    STARTED_NS,
    STOPPED,
    TIMED_OUT,
    Failure,
    Reply,
    Response,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from workers.protocol import Progress
    from workers.service import BatchService, Call, Service

    Page = list[int] | memoryview[int]

MAX_BATCH_COUNT = 1_024
"""The most calls that a batch service gets at once."""


class Runner:
    """Runs calls one after the other, or batch by batch, and emits one reply for each."""

    def __init__(
        self,
        service: Service | BatchService,
        *,
        emit: Callable[[Reply], None],
        log: Callable[[str, str, dict[str, Any]], None],
        page: Page,
        progress: Callable[[Progress], None] | None = None,
        makes_files: bool = False,
    ) -> None:
        self._service = service
        self._emit = emit
        self._log = log
        self._page = page
        self._lock = threading.Lock()
        self._waiting: deque[Call] = deque()
        self._cancelled: set[int] = set()
        self._newest_seq = 0
        self._running_count = 0
        self.is_batched = hasattr(service, "run_batch")
        if progress is not None and hasattr(service, "joined"):
            service.joined(progress, makes_files=makes_files)

    @property
    def waiting_count(self) -> int:
        """The number of calls that have not begun."""
        return len(self._waiting)

    def offer(self, calls: Iterable[Call]) -> None:
        """Take `calls` to be run after those that wait; any thread may call this."""
        with self._lock:
            self._waiting.extend(calls)
            if self._waiting:
                self._newest_seq = self._waiting[-1].seq

    def cancel(self, seq: int) -> None:
        """Take `seq` back if it waits, interrupt it if it runs alone; any thread may call this."""
        with self._lock:
            if self._running_count and self._page[FIRST] <= seq <= self._page[LAST]:
                if self._running_count == 1:
                    self._service.interrupt()
                return
            for call in self._waiting:
                if call.seq == seq:
                    self._waiting.remove(call)
                    break
            else:
                if seq > self._newest_seq:
                    self._cancelled.add(seq)
                return
        self._emit(Failure(seq, 0, CANCELLED, "cancelled before it ran", {}))

    def recall(self) -> list[int]:
        """Give up all calls that have not begun and return their numbers; any thread may call this."""
        with self._lock:
            seqs = [call.seq for call in self._waiting]
            self._waiting.clear()
        return seqs

    def run_next(self) -> bool:
        """Run what is next, emit its reply or replies, and return whether there was anything."""
        return self._run_batch() if self.is_batched else self._run_one()

    def tend(self) -> None:
        """Let a batch service do what is due between batches; to be called once the replies have left."""
        if self.is_batched:
            try:
                cast("BatchService", self._service).tend()
            except Exception as error:  # noqa: BLE001 - the border: nobody waits for it, so it goes to the log
                trace = "".join(traceback.format_exception(error))
                self._log("error", "workers.tending_failed", {"traceback": trace})

    def close(self) -> None:
        """Close the service."""
        self._service.close()

    def _run_one(self) -> bool:
        with self._lock:
            if not self._waiting:
                return False
            call = self._waiting.popleft()
            began_ns = self._begin(call.seq, call.seq, 1)
        refusal = self._refusal(call, began_ns) if call.deadline or self._cancelled else None
        reply: Reply
        if refusal is not None:
            reply = refusal
        else:
            try:
                value = cast("Service", self._service).run(call)
                reply = Response(call.seq, (time.monotonic_ns() - began_ns) // 1000, value)
            except Exception as error:  # noqa: BLE001 - the border: whatever a service raises becomes a reply
                reply = self._failure(call, error, began_ns)
        with self._lock:
            self._page[FIRST] = 0
            self._running_count = 0
        self._emit(reply)
        return True

    def _run_batch(self) -> bool:
        with self._lock:
            if not self._waiting:
                return False
            calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH_COUNT))]
            began_ns = self._begin(calls[0].seq, calls[-1].seq, len(calls))
        replies: list[Reply] = []
        live: list[Call] = []
        for call in calls:
            refusal = self._refusal(call, began_ns)
            if refusal is None:
                live.append(call)
            else:
                replies.append(refusal)
        if live:
            replies += self._outcomes(live, began_ns)
        with self._lock:
            self._page[FIRST] = 0
            self._running_count = 0
        for reply in replies:
            self._emit(reply)
        return True

    def _outcomes(self, calls: list[Call], began_ns: int) -> list[Reply]:
        try:
            outcomes = cast("BatchService", self._service).run_batch(calls)
            if len(outcomes) != len(calls):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(calls)} calls")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - the border: whatever a service raises becomes a reply
            return [self._failure(call, error, began_ns) for call in calls]
        run_us = (time.monotonic_ns() - began_ns) // 1000
        return [
            self._failure(call, outcome, began_ns)
            if isinstance(outcome, Exception)
            else Response(call.seq, run_us, outcome)
            for call, outcome in zip(calls, outcomes, strict=True)
        ]

    def _begin(self, first: int, last: int, count: int) -> int:
        began_ns = time.monotonic_ns()
        page = self._page
        page[STARTED_NS] = began_ns
        page[LAST] = last
        page[FIRST] = first
        self._running_count = count
        return began_ns

    def _refusal(self, call: Call, now_ns: int) -> Failure | None:
        if call.seq in self._cancelled:
            with self._lock:
                self._cancelled = {seq for seq in self._cancelled if seq > call.seq}
            return Failure(call.seq, 0, CANCELLED, "cancelled before it ran", {})
        if call.deadline and now_ns > call.deadline * 1e9:
            return Failure(call.seq, 0, TIMED_OUT, "the deadline passed before it ran", {})
        return None

    def _failure(self, call: Call, error: Exception, began_ns: int) -> Failure:
        run_us = (time.monotonic_ns() - began_ns) // 1000
        if isinstance(error, PortableError):
            return Failure(call.seq, run_us, portable_name(type(error)), str(error), error.details)
        if isinstance(error, TaskCancelled):
            return Failure(call.seq, run_us, STOPPED, str(error), {})
        trace = "".join(traceback.format_exception(error))
        self._log("error", "workers.task_failed", {"method": call.method, "traceback": trace})
        return Failure(call.seq, run_us, FAILED, f"{call.method} failed with {type(error).__name__}", {})
