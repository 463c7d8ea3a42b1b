"""The gate of one database: who may write to it now, everybody or the holder of a transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from storage.errors import StorageSaturated, WriteTimedOut

if TYPE_CHECKING:
    from storage.transactions import Transaction

_LEAST_RETRY_S = 0.01


class WriteGate:
    """Who may write to one database now: everybody, or the holder of a transaction."""

    def __init__(self, *, max_waiting_count: int) -> None:
        self._max_waiting_count = max_waiting_count
        self._holder: Transaction | None = None
        self._waiting_count = 0
        self._writing_count = 0
        self._changed = anyio.Event()

    @property
    def is_open(self) -> bool:
        """Nobody holds a transaction."""
        return self._holder is None

    def entered(self) -> None:
        """Count a write that begins; `left` counts it out."""
        self._writing_count += 1

    def left(self) -> None:
        """Count a write out."""
        self._writing_count -= 1
        if self._holder is not None and not self._writing_count:
            self._stir()

    async def passed(self, timeout_s: float) -> float:
        """Wait until the gate is open, ending a transaction whose lease is over; return what is left of the time.

        Raises:
            StorageSaturated: Too many wait.
            WriteTimedOut: The time is over.
        """
        if self._waiting_count >= self._max_waiting_count:
            raise StorageSaturated(
                "too many writes wait for a transaction", retry_after_s=self._retry_after_s(time.monotonic())
            )
        deadline = time.monotonic() + timeout_s
        self._waiting_count += 1
        try:
            while (holder := self._holder) is not None:
                now = time.monotonic()
                if now >= deadline:
                    raise WriteTimedOut("the write passed its deadline behind a transaction")
                if now >= holder.lease_until:
                    await holder.end_lease()
                    continue
                with anyio.move_on_after(min(deadline, holder.lease_until) - now):
                    await self._changed.wait()
        finally:
            self._waiting_count -= 1
        return deadline - time.monotonic()

    def _retry_after_s(self, now: float) -> float:
        """Return how long the holder may still keep others waiting; one that commits is about to end."""
        holder = self._holder
        left_s = 0.0 if holder is None or holder.lease_until == float("inf") else holder.lease_until - now
        return max(left_s, _LEAST_RETRY_S)

    async def taken(self, holder: Transaction, timeout_s: float) -> float:
        """Give the gate to `holder`, once the writes before it have ended; return what is left of the time.

        Raises:
            StorageSaturated, WriteTimedOut: As `passed`; the gate is not its.
        """
        left_s = await self.passed(timeout_s)
        self._holder = holder
        deadline = time.monotonic() + left_s
        try:
            await self._until_quiet(deadline)
        except BaseException:
            self.given_back(holder)
            raise
        return deadline - time.monotonic()

    async def _until_quiet(self, deadline: float) -> None:
        while self._writing_count:
            if time.monotonic() >= deadline:
                raise WriteTimedOut("the transaction passed its deadline behind other writes")
            with anyio.move_on_after(deadline - time.monotonic()):
                await self._changed.wait()

    def given_back(self, holder: Transaction) -> None:
        """Open the gate, if it is `holder` who has it."""
        if self._holder is holder:
            self._holder = None
            self._stir()

    def _stir(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
