"""Keeps the contact with the server: learns of it from what became of actions, and knocks while there is none.

The rules are in `connectivity`; this holds how it stands and asks the probe, if there is one, when it is time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import structlog

from chat.errors import DeliveryError
from chat.queue import connectivity
from chat.queue.connectivity import Contact
from chat.queue.states import State
from chat.queue.traces import trace_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chat.queue.clock import QueueClock
    from chat.queue.settings import QueueSettings
    from chat.queue.states import Entry

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Contacting:
    """How the contact of one process stands; `on_change` is told of each change."""

    def __init__(
        self,
        settings: QueueSettings,
        clock: QueueClock,
        chance: Callable[[], float],
        *,
        on_change: Callable[[Contact, Contact], None],
        probe: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.now = Contact()
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._on_change = on_change
        self._probe = probe
        self._is_probing = False

    def hold(self) -> None:
        """The caller says that there is none."""
        self._meet(connectivity.held(self.now))

    def let_go(self) -> None:
        """The caller says that there is."""
        self._meet(connectivity.let_go())

    def learn(self, entry: Entry) -> None:
        """Learn from what became of an action whether there is contact; a server that answers is there."""
        failure = entry.failure
        if failure is not None and failure.kind == "unreachable":
            self._miss()
        elif not self.now.is_online and connectivity.is_answer(failure, is_done=entry.state is State.DONE):
            self._meet(connectivity.found(self.now))

    def may_knock_by_action(self, now_ms: int) -> bool:
        """Return whether an action is to be tried, to see if there is contact again."""
        return self._probe is None and self.now.may_knock(now_ms)

    def knock(self, group: anyio.abc.TaskGroup, now_ms: int) -> None:
        """Ask the probe in a task of its own, if it is time."""
        if self._probe is not None and not self._is_probing and self.now.may_knock(now_ms):
            self._is_probing = True
            group.start_soon(self._ask, self._probe)

    async def _ask(self, probe: Callable[[], Awaitable[bool]]) -> None:
        is_there = False
        try:
            with anyio.move_on_after(self._settings.max_knock_s):
                is_there = await probe()
        except DeliveryError as error:
            _log.info("chat.probe_failed", error=str(error))
        except Exception as error:  # noqa: BLE001 - a probe may raise anything, and the queue goes on
            _log.error("chat.probe_broke", error=type(error).__name__, trace=trace_of(error))
        finally:
            self._is_probing = False
        if is_there:
            self._meet(connectivity.found(self.now))
        else:
            self._miss()

    def _miss(self) -> None:
        settings = self._settings
        self._meet(
            connectivity.missed(
                self.now,
                self._clock.boot_ms(),
                first_ms=int(1000 * settings.first_knock_s),
                most_ms=int(1000 * settings.max_knock_s),
                chance=self._chance(),
            )
        )

    def _meet(self, contact: Contact) -> None:
        before, self.now = self.now, contact
        self._on_change(before, contact)
