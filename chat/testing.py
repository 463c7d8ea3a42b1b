"""A kit for testing programs that use the queues: a scripted server, clocks moved by hand, crashes at named steps.

```python
server = ScriptedServer()
server.script(Transient(status=500), LoseAnswer())     # the first call fails, the answer to the second gets lost
async with open_queue(path, clock=ManualClock()) as queue:
    queue.handle_all(server)
    ...
assert server.effects == [...]                          # what it did: each action once
```
"""

from __future__ import annotations

import heapq
import os
import signal
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from chat.errors import AnswerLost, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.queue.clock import Wake
    from chat.queue.handlers import Delivery


class ManualClock:
    """The queue's clocks, moved by hand; both start at an hour."""

    def __init__(self, boot_id: str = "boot 1") -> None:
        self.boot_id = boot_id
        self._wall_ms = 1_700_000_000_000
        self._boot_ms = 3_600_000
        self._waiting: list[tuple[int, int, Wake]] = []
        self._numbers = count()

    def wall_ms(self) -> int:
        """See `QueueClock`."""
        return self._wall_ms

    def boot_ms(self) -> int:
        """See `QueueClock`."""
        return self._boot_ms

    def advance(self, seconds: float) -> None:
        """Let time go by, on both clocks."""
        self._wall_ms += int(1000 * seconds)
        self._boot_ms += int(1000 * seconds)
        while self._waiting and self._waiting[0][0] <= self._boot_ms:
            heapq.heappop(self._waiting)[2].set()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back; boot time does not notice."""
        self._wall_ms += int(1000 * seconds)

    async def wait(self, wake: Wake, until_ms: int | None) -> None:
        """See `QueueClock`."""
        if until_ms is not None:
            if until_ms <= self._boot_ms:
                await checkpoint()
                return
            heapq.heappush(self._waiting, (until_ms, next(self._numbers), wake))
        await wake.wait()


class Accept(msgspec.Struct, frozen=True):
    """The server does the action and answers."""

    answer: Any = None
    """By default `{"seq": n}`."""


class LoseAnswer(msgspec.Struct, frozen=True):
    """The server does the action (unless `has_effect` is off), and its answer gets lost."""

    has_effect: bool = True


class Hold(msgspec.Struct, frozen=True):
    """The server does not answer until `release` is set; then it does what `then` says."""

    release: anyio.Event
    then: Accept | LoseAnswer | DeliveryError = Accept()


Step = Accept | LoseAnswer | Hold | DeliveryError


class Effect(msgspec.Struct, frozen=True):
    """An action that the server has done."""

    client_id: str
    type: str
    payload: Any
    account: str


class ScriptedServer:
    """A server that does each client id once and follows a script; without one it accepts. Also a `Transport`."""

    def __init__(self) -> None:
        self.calls: list[Delivery] = []
        """All deliveries, in the order they came."""
        self.asked: list[str] = []
        """The client ids that it was asked about."""
        self.effects: list[Effect] = []
        self.ask_steps: deque[DeliveryError] = deque()
        """What the next questions fail with."""
        self._answers: dict[str, Any] = {}
        self._steps: deque[Step] = deque()
        self._always: Callable[[Delivery], Step] | None = None
        self._called = anyio.Event()

    def script(self, *steps: Step) -> None:
        """Do `steps` at the next calls, one each, before anything else."""
        self._steps.extend(steps)

    def always(self, rule: Callable[[Delivery], Step] | None) -> None:
        """Do what `rule` says at each call for which there is no step; None: accept."""
        self._always = rule

    async def until_called(self, times: int = 1) -> None:
        """Return when it was called so often since the beginning."""
        while len(self.calls) < times:
            await self._called.wait()

    async def deliver(self, delivery: Delivery) -> Any:
        """See `Transport`."""
        self.calls.append(delivery)
        called, self._called = self._called, anyio.Event()
        called.set()
        step = self._steps.popleft() if self._steps else self._otherwise(delivery)
        if isinstance(step, Hold):
            await step.release.wait()
            step = step.then
        return self._done(step, delivery)

    async def ask(self, delivery: Delivery) -> Any:
        """See `Transport`."""
        self.asked.append(delivery.client_id)
        if self.ask_steps:
            raise self.ask_steps.popleft()
        return self._answers.get(delivery.client_id)

    def _otherwise(self, delivery: Delivery) -> Step:
        return Accept() if self._always is None else self._always(delivery)

    def _done(self, step: Accept | LoseAnswer | DeliveryError, delivery: Delivery) -> Any:
        if isinstance(step, DeliveryError):
            raise step
        if isinstance(step, LoseAnswer):
            if step.has_effect:
                self._apply(delivery, None)
            raise AnswerLost("the script says so")
        return self._apply(delivery, step.answer)

    def _apply(self, delivery: Delivery, answer: Any) -> Any:
        if delivery.client_id not in self._answers:
            effect = Effect(delivery.client_id, delivery.type, delivery.payload, delivery.account)
            self.effects.append(effect)
            self._answers[delivery.client_id] = answer if answer is not None else {"seq": len(self.effects)}
        return self._answers[delivery.client_id]


STEPS = ("adding", "added", "turning", "turned", "calling", "answered")
"""Where a queue can be made to crash: before and after actions are stored, before and after a turn (reports and claims)
is written, before a handler is called and after it has answered."""


class CrashAt:
    """Kills its own process when a queue comes to `step` for the `nth` time: `open_queue(..., on_step=CrashAt(...))`."""

    def __init__(self, step: str, nth: int = 1) -> None:
        if step not in STEPS:
            raise ValueError(f"{step!r} is no step; there are {', '.join(STEPS)}")
        self._step = step
        self._left = nth

    def __call__(self, step: str) -> None:
        """Count `step`, and crash if it is time."""
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
