"""A process of the matrix that enqueues, and delivers unless it is the follower; it may end at any moment.

Its queue is opened as any program does. What it is told, it notes; what it was not told when it was killed, its
successor enqueues again under the same client ids.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec
import structlog

from chat.queue.action_queue import open_queue
from chat.queue.actions import ActionTypes
from chat.queue.settings import QueueSettings
from chat.testing.crash_matrix.ledger import BEGUN, STORED, Ledger
from chat.testing.crash_matrix.lifeline import until_cut
from chat.testing.crash_matrix.line import open_line
from chat.testing.crash_matrix.plan import FOLLOWER, TYPES, Plan, accounts
from chat.testing.crashes import CrashAt

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from chat.queue.action_queue import ActionQueue
    from chat.queue.receipts import Receipt
    from chat.testing.crash_matrix.line import Line
    from chat.testing.crash_matrix.plan import Planned

QUEUE = "queue.db"
CALM = "calm"
"""A file that is there once nothing more is done to the processes; they send no more and end when the queue is empty."""
_MOST_WAITING_COUNT = 1_500
"""With so many in the queue a sender waits, so that sending goes on while delivery does."""
_MOST_AT_ONCE_COUNT = 40
_LOOK_AGAIN_S = 0.05
_DAYS_S = 7 * 86_400.0
_LONG_S = 60.0
"""Without faults nothing lapses, however busy the machine is."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one process."""

    plan: Plan
    sender: str
    number: int
    step: str | None = None
    nth: int = 0

    @property
    def delivers(self) -> bool:
        """Whether it delivers what is enqueued, by whomever."""
        return self.sender != FOLLOWER


def errors_path(sender: str) -> str:
    """Return where the errors of `sender` go."""
    return f"{sender}.errors"


def main(folder: str, run: Run, lifeline: Connection) -> None:
    """Live in `folder` until killed or told to stop, or until `lifeline` is cut."""
    os.chdir(folder)
    errors = os.open(errors_path(run.sender), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, sys.stderr.fileno())
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    anyio.run(live, run, lifeline, backend_options={"use_uvloop": True})


def settings_of(plan: Plan) -> QueueSettings:
    """Return the numbers of the queue: impatient ones, and nothing is forgotten before the audit."""
    return QueueSettings(
        max_waiting_count=plan.action_count + 1,
        concurrency=8,
        lease_s=plan.lease_s if plan.is_rough else _LONG_S,
        tick_s=0.1,
        call_timeout_s=0.5 if plan.is_rough else _LONG_S,
        stop_grace_s=0.2,
        max_delay_s=0.5,
        first_knock_s=0.05,
        max_knock_s=0.2,
        keep_done_s=_DAYS_S,
        keep_failed_s=_DAYS_S,
        max_finished_count=2 * plan.action_count,
        max_event_count=1_000 * plan.action_count,
        prune_every_s=5.0,
    )


async def live(run: Run, lifeline: Connection | None = None) -> None:
    """Send what is left to send, then wait until nothing is done any more and the queue is empty."""
    crash = CrashAt(run.step, run.nth) if run.step is not None else None
    async with (
        open_line(f"{run.sender}#{run.number}", sabotage=run.plan.sabotage) as line,
        anyio.create_task_group() as group,
    ):
        if lifeline is not None:
            group.start_soon(until_cut, lifeline, group.cancel_scope)
        leaving = anyio.CancelScope()
        stops_gently = run.number % 2 == 0
        group.start_soon(_until_told_to_stop, leaving if stops_gently else group.cancel_scope)
        async with open_queue(QUEUE, settings_of(run.plan), types=ActionTypes(TYPES), on_step=crash) as queue:
            if run.delivers:
                queue.handle_all(line)
            with leaving:
                await _work(run, queue, line)
        group.cancel_scope.cancel()


async def _until_told_to_stop(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as told:
        async for _ in told:
            scope.cancel()


async def _work(run: Run, queue: ActionQueue, line: Line) -> None:
    async with anyio.create_task_group() as group:
        if not run.delivers:
            group.start_soon(_keep_logged_in, queue, line)
        await _send(run, queue)
        while not await _is_over(queue):  # noqa: ASYNC110 - it is other processes that it waits for
            await anyio.sleep(_LOOK_AGAIN_S)
        group.cancel_scope.cancel()


async def _send(run: Run, queue: ActionQueue) -> None:
    ledger = await anyio.to_thread.run_sync(Ledger, run.sender)
    chance = Random(f"{run.plan.seed}/{run.sender}#{run.number}")  # noqa: S311 - no secret
    try:
        while ledger.next_number < run.plan.count_of(run.sender) and not await _is_calm():
            if (await queue.statistics()).pending < _MOST_WAITING_COUNT:
                await _send_some(run, queue, ledger, chance)
            else:
                await anyio.sleep(_LOOK_AGAIN_S)
    finally:
        ledger.close()


async def _send_some(run: Run, queue: ActionQueue, ledger: Ledger, chance: Random) -> None:
    first = ledger.next_number
    last = min(run.plan.count_of(run.sender), first + chance.randint(1, _MOST_AT_ONCE_COUNT)) - 1
    actions = [run.plan.planned(run.sender, number) for number in range(first, last + 1)]
    await anyio.to_thread.run_sync(ledger.note, BEGUN, first, last, time.monotonic_ns())
    receipts = [_put(queue, action) for action in actions]
    if chance.random() < 0.2:  # noqa: PLR2004 - some are sent twice, as by a double click
        receipts.append(_put(queue, chance.choice(actions)))
    for receipt in receipts:
        await receipt.durable()
    await anyio.to_thread.run_sync(ledger.note, STORED, first, last, time.monotonic_ns())


def _put(queue: ActionQueue, action: Planned) -> Receipt:
    return queue.put(
        action.payload,
        account=action.account,
        client_id=action.name,
        delay_s=action.delay_s,
        after=action.needs,
    )


async def _keep_logged_in(queue: ActionQueue, line: Line) -> None:
    """Log accounts in again whose sessions have ended."""
    after = await queue.newest_event()
    for account in accounts():
        await _log_in(queue, line, account)
    async for event in queue.follow_events(after):
        if event.kind == "session.expired" and event.account is not None:
            await _log_in(queue, line, event.account)


async def _log_in(queue: ActionQueue, line: Line, account: str) -> None:
    await line.insist("log in", account=account)
    await queue.resume_account(account)


async def _is_over(queue: ActionQueue) -> bool:
    if not await _is_calm():
        return False
    statistics = await queue.statistics()
    return statistics.pending + statistics.processing == 0


async def _is_calm() -> bool:
    return await anyio.Path(CALM).exists()
