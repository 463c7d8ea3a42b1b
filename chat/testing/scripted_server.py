"""A server in the test's own process that follows a script, and remembers what it was called with and what it did."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from chat.errors import AnswerLost, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.queue.handlers import Delivery


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
