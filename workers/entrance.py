"""The way into a pool: a call is checked, counted against the bounds, and put where it waits for a worker.

A call that can't be answered in time is refused here, at once, instead of after its deadline: those that wait before it
are counted, and the lane's pace (`workers.pace`) says how long they will take.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workers.buffers import Attachments, size_of
from workers.errors import PoolClosed, ServiceUnavailable
from workers.methods import Envelope
from workers.protocol import encoded_tail
from workers.worker import Pending

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from workers.admission import Admission
    from workers.buffers import Input
    from workers.completion import Loop
    from workers.dispatcher import Dispatcher
    from workers.posted import Posted
    from workers.settings import Kind, Lane, PoolSettings
    from workers.slots import Slot
    from workers.watch import Watch


class Entrance:
    """Lets calls into one pool, or says why not."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        watch: Watch,
        loop: Loop,
        settings: PoolSettings,
        *,
        name: str,
        kind: Kind,
        has_maintenance: bool,
    ) -> None:
        self._dispatcher = dispatcher
        self._admission: Admission = dispatcher.ledger.admission
        self._waiting = dispatcher.waiting
        self._watch = watch
        self._loop = loop
        self._settings = settings
        self._name = name
        self._kind = kind
        self._has_maintenance = has_maintenance
        self.is_closed = False

    def submit(
        self,
        method: str,
        params: Any,
        timeout_s: float | None,
        *,
        lane: Lane,
        key: Hashable,
        fingerprint: Hashable,
        idempotent: bool,
        pinned: Slot | None,
        tenant: str,
        posted: Posted | None = None,
    ) -> Pending:
        """Let a plain call wait for its turn, or refuse it; see `Pool.call`, and with `posted` `Pool.post`."""
        if self.is_closed or self._dispatcher.ledger.tally.deaths_in_a_row_count:
            self._require_open()
        if lane == "maintenance" and not self._has_maintenance:
            lane = "scan"
        now = time.monotonic()
        left_s = self._settings.default_timeout_s if timeout_s is None else timeout_s
        deadline = now + left_s
        tail = encoded_tail(
            method, params, deadline
        )  # before a place is taken: a bad argument costs nobody one
        admission = self._admission
        count = admission.counts[lane]
        if count * admission.per_call_s[lane] > left_s and pinned is None:
            self._require_time(lane, left_s, key=key, tenant=tenant)
        if count >= admission.limits[lane] and key is None:
            most = self._settings.max_waiting_count
            admission.admit(lane, len(tail), is_modest=self._waiting.is_modest(lane, tenant, most))
        else:
            admission.admit(lane, len(tail))
        pending = Pending(
            posted or self._loop.create_future(),
            method,
            params,
            tail,
            lane,
            key,
            fingerprint,
            now,
            deadline,
            idempotent,
            pinned,
            tenant,
        )
        if lane == "short" and key is None and pinned is None:
            self._waiting.short.append(pending)
        else:
            self._waiting.add(pending)
        watch = self._watch
        watch.soonest_deadline = min(watch.soonest_deadline, deadline)
        if not watch.is_on:
            watch.start()
        self._dispatcher.pump_soon()
        return pending

    def request(
        self,
        method: str,
        encoded: bytes,
        attachments: Attachments | None,
        timeout_s: float | None,
        *,
        wants_progress: bool,
    ) -> Pending:
        """Return a typed request, which `admit` lets in."""
        envelope = Envelope(encoded, attachments.items if attachments is not None else [], wants_progress)
        now = time.monotonic()
        deadline = now + (self._settings.default_timeout_s if timeout_s is None else timeout_s)
        tail = encoded_tail(method, envelope, deadline) if self._kind == "process" else encoded
        return Pending(
            self._loop.create_future(),
            method,
            envelope,
            tail,
            "short",
            None,
            None,
            now,
            deadline,
            False,
            None,
            attachments=attachments,
        )

    def admit(self, pending: Pending) -> None:
        """Let a request wait for its turn, or refuse it; `submit` does the same in line."""
        self._require_open()
        ends_at = pending.begin_by or pending.deadline
        self._require_time(pending.lane, ends_at - pending.submitted_at)
        self._admission.admit(pending.lane, len(pending.tail))
        self._waiting.add(pending)
        watch = self._watch
        watch.soonest_deadline = min(watch.soonest_deadline, ends_at)
        if not watch.is_on:
            watch.start()
        self._dispatcher.pump_soon()

    async def attached(self, buffers: Sequence[Input]) -> Attachments:
        """Take the buffers of a request, or refuse them."""
        size_bytes = size_of(buffers)
        self._admission.hold(size_bytes)
        attachments = Attachments(size_bytes, self._admission.let_go)
        try:
            if self._kind == "process":
                await attachments.pack(buffers)
            else:
                attachments.share(buffers)
        except BaseException:
            attachments.close()
            raise
        return attachments

    async def answer_to(self, pending: Pending) -> Any:
        """Wait for the answer to what was let in; a wait that is cancelled stops the call."""
        try:
            return await pending.future
        except BaseException:
            self._dispatcher.endings.abandon(pending)
            raise

    def _require_open(self) -> None:
        if self.is_closed:
            raise PoolClosed(f"{self._name} is closed")
        deaths_count = self._dispatcher.ledger.tally.deaths_in_a_row_count
        if deaths_count >= self._settings.breaker_count and all(
            slot.worker is None for slot in self._dispatcher.slots
        ):
            raise ServiceUnavailable(
                f"the last {deaths_count} workers of {self._name} died without an answer; see the log"
            )

    def _require_time(
        self, lane: Lane, left_s: float, *, key: Hashable = None, tenant: str | None = None
    ) -> None:
        """Refuse a call that would be answered too late; `tenant` is None where calls wait in one line."""
        ahead_count = self._admission.counts[lane]
        if key is not None:
            ahead_count = min(ahead_count, self._waiting.ahead_of_key(key))
        elif tenant is not None:
            ahead_count += self._waiting.ahead_of(lane, tenant) - self._waiting.waiting_count(lane)
        self._admission.require_time(lane, ahead_count, left_s)
