"""A world for the queue's state machine: processes on one file, a server whose answers somebody else decides, a clock.

A process is a queue object of its own; it is frozen or killed by a gate before and after each of its statements, so its
tasks stop just where a process would. Every call waits at the server until the machine says what comes of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from chat.errors import (
    AnswerLost,
    AuthExpired,
    ChatError,
    Permanent,
    RateLimited,
    TargetGone,
    Transient,
    Unreachable,
)
from chat.queue.action_queue import ActionQueue, open_queue
from chat.queue.settings import QueueSettings
from chat.testing import ManualClock
from storage import StorageError
from tests.support.queue_audit import Audit, Row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from chat.queue.handlers import Delivery
    from chat.queue.receipts import Receipt

SETTINGS = QueueSettings(
    max_waiting_count=14,
    claim_count=4,
    concurrency=2,
    stop_grace_s=0.02,
    settle_s=0.05,
    statistics_debounce_s=0.001,
    call_timeout_s=100.0,
)
_ERRORS: dict[str, Callable[[], Exception]] = {
    "lost": AnswerLost,
    "vanished": AnswerLost,
    "server error": lambda: Transient(status=500),
    "refused": lambda: Permanent(status=403),
    "unreachable": Unreachable,
    "session expired": lambda: AuthExpired(status=401),
    "too many": lambda: RateLimited(retry_after_s=5.0, status=429),
    "target gone": lambda: TargetGone(status=404),
    "handler breaks": lambda: KeyError("a bug"),
    "handler breaks late": lambda: KeyError("a bug"),
}
OUTCOMES = ("accepted", *_ERRORS)
_WITH_EFFECT = {"accepted", "lost", "handler breaks late"}
_QUIET_TURNS_COUNT = 12
_LAST_ROUNDS_COUNT = 60


def _error(outcome: str) -> Exception:
    return _ERRORS[outcome]()


class Gate:
    """Lets a process's statements through, or not."""

    def __init__(self) -> None:
        self.passing_count = 0
        self._opened = anyio.Event()
        self._opened.set()
        self._shuts_after_one = False
        self._is_torn_down = False

    @property
    def is_open(self) -> bool:
        return self._opened.is_set() and not self._shuts_after_one

    def shut(self, *, after_one: bool = False) -> None:
        """Let nothing through, or one statement more, of whose end the process does not hear."""
        self._shuts_after_one = after_one
        if not after_one and self._opened.is_set():
            self._opened = anyio.Event()

    def open(self) -> None:
        self._shuts_after_one = False
        self._opened.set()

    def tear_down(self) -> None:
        """Let nothing through any more, and nobody wait."""
        self._is_torn_down = True
        self._opened.set()

    async def wait(self) -> None:
        await self._opened.wait()
        if self._is_torn_down:
            raise StorageError("the world ends")

    def around(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def passed(*args: Any, **kwargs: Any) -> Any:
            await self.wait()
            self.passing_count += 1
            try:
                answer = await call(*args, **kwargs)
            finally:
                self.passing_count -= 1
            if self._shuts_after_one:
                self.shut()
            await self.wait()
            return answer

        return passed


@dataclass(eq=False)
class Call:
    """A call that has reached the server and waits for its answer."""

    process: Process
    delivery: Delivery
    answered: anyio.Event = field(default_factory=anyio.Event)
    outcome: str = ""
    is_orphan: bool = False
    """Nobody waits for its answer any more."""


class Server:
    """Does each client id once, remembers what it refused, and answers when it is told to."""

    def __init__(self, world: World) -> None:
        self.calls: list[Call] = []
        self.effects: dict[str, Delivery] = {}
        """What it did, in order."""
        self.refused: set[str] = set()
        self.gone: set[str] = set()
        """What it said that the target is gone of, or as it should be."""
        self.excused: set[str] = set()
        """A call of these did something after the queue had rightly lost sight of it."""
        self.failing_questions: list[str] = []
        self.is_kind = False
        """It accepts everything at once."""
        self._world = world

    async def deliver(self, process: Process, delivery: Delivery) -> Any:
        id_ = delivery.client_id
        owner = self._world.audit.owner_of(id_)
        assert owner == process.name, f"{process.name} calls what {owner} has claimed"
        assert id_ not in self.effects or id_ in self.excused, f"{id_} is called again though it was done"
        call = Call(process, delivery)
        if self.is_kind:
            return self.effect_of(call)
        self.calls.append(call)
        try:
            await call.answered.wait()
            await process.gate.wait()
        except BaseException:
            call.is_orphan = True
            raise
        if call.outcome == "accepted":
            return {"did": id_}
        raise _error(call.outcome)

    async def ask(self, process: Process, delivery: Delivery) -> Any:
        assert self._world.audit.owner_of(delivery.client_id) == process.name
        if self.failing_questions:
            raise _error(self.failing_questions.pop())
        if delivery.client_id in self.refused:
            raise Permanent(status=403)
        return {"did": delivery.client_id} if delivery.client_id in self.effects else None

    def answer(self, call: Call, outcome: str) -> None:
        """Have `call` end so; the server says again what it said before of the same client id."""
        self.calls.remove(call)
        id_ = call.delivery.client_id
        if id_ in self.refused:
            outcome = "refused"
        elif id_ in self.effects:
            outcome = "accepted"
        elif outcome in _WITH_EFFECT:
            self.effect_of(call)
        elif outcome == "refused":
            self.refused.add(id_)
        elif outcome == "target gone":
            self.gone.add(id_)
        call.outcome = outcome
        call.answered.set()

    def effect_of(self, call: Call) -> Any:
        id_ = call.delivery.client_id
        if call.is_orphan or self._world.audit.owner_of(id_) != call.process.name:
            self.excused.add(id_)
        self.effects.setdefault(id_, call.delivery)
        return {"did": id_}


class Process:
    """A queue object with a gate, in a task of its own."""

    def __init__(self, world: World, number: int) -> None:
        self.number = number
        self.gate = Gate()
        self.is_alive = True
        self.queue: ActionQueue
        self._world = world
        self._clock = world.clock
        self._ended = anyio.Event()
        self._opened = anyio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.queue._engine._peers.name

    @property
    def is_working(self) -> bool:
        return self.is_alive and self.gate.is_open

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        await self._opened.wait()

    async def _run(self) -> None:
        path = self._world.path
        try:
            async with open_queue(path, SETTINGS, clock=self._clock, chance=self._world.chance) as queue:
                self.queue = queue
                tables, peers = queue._engine._tables, queue._engine._peers
                for part, name in (
                    (tables, "read"),
                    (tables, "write"),
                    (tables, "write_all"),
                    (peers, "look_around"),
                ):
                    setattr(part, name, self.gate.around(getattr(part, name)))
                queue.handle_all(self)
                self._opened.set()
                await self._ended.wait()
        finally:
            self._opened.set()

    async def deliver(self, delivery: Delivery) -> Any:
        return await self._world.server.deliver(self, delivery)

    async def ask(self, delivery: Delivery) -> Any:
        return await self._world.server.ask(self, delivery)

    def kill(self, *, after_one: bool) -> None:
        """Let it do nothing more, as SIGKILL does; the kernel takes its socket away."""
        self.is_alive = False
        self.gate.shut(after_one=after_one)
        peers = self.queue._engine._peers
        (peers._folder / peers.name).unlink(missing_ok=True)

    async def stop(self) -> None:
        """Close it in order."""
        self.is_alive = False
        self._ended.set()
        with anyio.fail_after(20):
            while self._task is not None and not self._task.done():
                self._clock.advance(SETTINGS.stop_grace_s / 4)
                await asyncio.sleep(0.001)

    async def bury(self) -> None:
        """Take its tasks away at the end of the world."""
        self.gate.tear_down()
        if self._task is not None:
            self._task.cancel()
            await asyncio.sleep(0)
            self._clock.advance(2 * SETTINGS.stop_grace_s)
            with anyio.fail_after(20), suppress(asyncio.CancelledError, StorageError):
                await self._task


class World:
    """Processes, the server, the clock, the file; and what was promised to whom."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.server = Server(self)
        self.processes: list[Process] = []
        self.audit: Audit
        self.stored: dict[str, Any] = {}
        """The payloads that somebody was told are on the disk, by client id."""
        self.taken_back: set[str] = set()
        """What somebody was told was taken back."""
        self.needing: set[str] = set()
        """What was to come after something else, so it does not keep its place."""
        self.told: list[str] = []
        """The client ids that were handed out, in order."""
        self._tasks: list[asyncio.Task[None]] = []
        self._receipts: list[tuple[Receipt, Any]] = []
        self._started_count = 0
        self._chance_count = 0

    def chance(self) -> float:
        """Return the next of some chances, among them the extremes."""
        self._chance_count += 1
        return (0.0, 1.0, 0.5, 0.01)[self._chance_count % 4]

    @property
    def working(self) -> list[Process]:
        return [each for each in self.processes if each.is_working]

    @property
    def frozen(self) -> list[Process]:
        return [each for each in self.processes if each.is_alive and not each.gate.is_open]

    async def start(self) -> None:
        """Let one process more come."""
        process = Process(self, self._started_count)
        self._started_count += 1
        await process.start()
        self.processes.append(process)
        if self._started_count == 1:
            self.audit = Audit(self.path)
        await self.settle()

    def claimed_by_others(self, process: Process) -> list[Row]:
        """Return what other processes that work have claimed."""
        others = {each.name for each in self.working if each is not process}
        return self.audit.claimed_by(others, self.clock.boot_ms())

    async def thaw(self, process: Process) -> None:
        """Let a frozen process go on; what others have claimed since is none of its business any more."""
        before = self.claimed_by_others(process)
        process.gate.open()
        await self.settle()
        self.audit.check_untouched(before)

    def put(self, process: Process, payload: Any, **options: Any) -> str | None:
        """Enqueue by a plain call; return the client id, None if it was refused at once."""
        try:
            receipt = process.queue.put(payload, **options)
        except ChatError:
            return None
        self._receipts.append((receipt, payload))
        self.told.append(receipt.client_id)
        return receipt.client_id

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something that may wait go on beside all else; what a queue refuses is fine."""

        async def carried() -> None:
            with suppress(ChatError):
                await work

        self._tasks.append(asyncio.create_task(carried()))

    async def cancel(self, process: Process, client_id: str) -> None:
        if await process.queue.cancel(client_id, redact=False) == "cancelled":
            self.taken_back.add(client_id)

    async def settle(self) -> None:
        """Return when nothing moves any more."""
        with anyio.fail_after(20):
            quiet_count = 0
            while quiet_count < _QUIET_TURNS_COUNT:
                is_busy = any(each.gate.passing_count for each in self.processes)
                quiet_count = 0 if is_busy else quiet_count + 1
                await asyncio.sleep(0.0002 if is_busy else 0)
        for process in self.processes:
            if process._task is not None and process._task.done():
                process._task.result()
        self._note_stored()

    def _note_stored(self) -> None:
        for receipt, payload in self._receipts[:]:
            ticket = receipt._ticket
            if ticket.is_written:
                self._receipts.remove((receipt, payload))
                if ticket.error is None:
                    self.stored.setdefault(receipt.client_id, payload)

    def check(self) -> None:
        """Fail if anything is not as was promised."""
        self.audit.check()
        assert set(self.stored) <= set(self.audit.rows), "what was stored is gone"
        for client_id in self.taken_back - self.server.excused:
            assert client_id not in self.server.effects, f"{client_id} was taken back, and is done"
        self._check_order()

    def _check_order(self) -> None:
        """What left its place for good reason is not compared; all else is done in the order it came."""
        last: dict[str, int] = {}
        for client_id, delivery in self.server.effects.items():
            row = self.audit.rows.get(client_id)
            kinds = self.audit.kinds.get(client_id, [])
            if row is None or delivery.type != "send-message" or client_id in self.server.excused:
                continue
            if row.not_before_at_ms is not None or {"failed", "expired"} & set(kinds):
                continue
            if client_id in self.needing:
                continue
            assert row.id > last.get(row.lane, 0), f"{client_id} was done after one that came later"
            last[row.lane] = row.id

    async def finish(self) -> None:
        """Let everything come to its end before a server that is kind, and check that it does."""
        server = self.server
        server.is_kind = True
        server.failing_questions.clear()
        server.refused.clear()
        for process in self.frozen:
            process.gate.open()
        await self.start()
        finisher = self.processes[-1]
        for call in server.calls[:]:
            server.answer(call, "accepted")
        for round_ in range(_LAST_ROUNDS_COUNT):
            for process in self.working:
                process.queue.go_online()
            await finisher.queue.resume_account()
            for lane in {row.lane for row in self.audit.rows.values()}:
                await finisher.queue.resume_lane(lane)
            if round_ % 5 == 4:
                await finisher.queue.retry_failed()
            self.clock.advance(61)
            await self.settle()
            self.check()
            if all(row.finished_at_ms is not None for row in self.audit.rows.values()):
                break
        self._check_ends()

    def _check_ends(self) -> None:
        effects, excused = self.server.effects, self.server.excused
        for row in self.audit.rows.values():
            assert row.finished_at_ms is not None, ("it never ended", row, self.audit.kinds[row.client_id])
            if row.state == "done" and row.result != '{"coalesced":true}':
                assert row.client_id in {*effects, *self.server.gone}, row
            elif (
                row.state != "done"
                and row.client_id not in excused
                and row.failure_code != "outcome_not_told"
            ):
                assert row.client_id not in effects, row

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(process.bury() for process in self.processes), return_exceptions=True)
        self.audit.close()
