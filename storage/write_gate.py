"""The gate of one database: who may write to it now, everybody or one alone: a transaction, a move to other workers.

Whoever has to wait stands in line. Nobody passes those who stand there, or a program that opens one transaction after
the other would keep all others out (it did, until 2026-11-23).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import anyio

from storage.errors import StorageSaturated, WriteTimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LEAST_RETRY_S = 0.01
_FOR_EVER_S = float("inf")


class Holder(Protocol):
    """One who has the gate for itself."""

    lease_until: float
    """Until then (monotonic) others wait; from then on the first of them ends it."""

    async def end_lease(self) -> None:
        """End it because others wait."""


class _Move:
    """Has the gate while the database goes to other workers; it is as long as the writes before it, and nobody ends it."""

    lease_until = _FOR_EVER_S

    async def end_lease(self) -> None:
        """See `Holder`."""


class _Waiter:
    """One in the line."""

    def __init__(self, holder: Holder | None) -> None:
        self.holder = holder
        """Who is to have the gate for itself; None for a write."""
        self.is_let_in = False
        self.stirred = anyio.Event()

    def stir(self) -> None:
        """Have it look again."""
        stirred, self.stirred = self.stirred, anyio.Event()
        stirred.set()


class WriteGate:
    """Who may write to one database now: everybody, or whoever holds it."""

    def __init__(self, *, max_waiting_count: int) -> None:
        self._max_waiting_count = max_waiting_count
        self._holder: Holder | None = None
        self._line: OrderedDict[_Waiter, None] = OrderedDict()
        self._writing_count = 0
        self._quiet = anyio.Event()

    @property
    def is_open(self) -> bool:
        """Nobody holds it, and nobody waits."""
        return self._holder is None and not self._line

    def entered(self) -> None:
        """Count a write that begins, the gate being open; `left` counts it out."""
        self._writing_count += 1

    def left(self) -> None:
        """Count a write out."""
        self._writing_count -= 1
        if self._holder is not None and not self._writing_count:
            self._quiet.set()

    async def passed(self, timeout_s: float) -> float:
        """Count a write once it is its turn, ending a transaction whose lease is over; return what is left of the time.

        Raises:
            StorageSaturated: Too many wait.
            WriteTimedOut: The time is over.
        """
        deadline = time.monotonic() + timeout_s
        if self.is_open:
            self.entered()
        else:
            self._require_room()
            await self._stand_in_line(None, deadline)
        return deadline - time.monotonic()

    async def taken(self, holder: Holder, timeout_s: float) -> float:
        """Give the gate to `holder`, once the writes before it have ended; return what is left of the time.

        Raises:
            StorageSaturated, WriteTimedOut: As `passed`; the gate is not its.
        """
        deadline = time.monotonic() + timeout_s
        if not self.is_open:
            self._require_room()
        await self._take(holder, deadline)
        return deadline - time.monotonic()

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Let nobody write while this is entered, which it is when all before it have ended; however long that takes."""
        move = _Move()
        await self._take(move, _FOR_EVER_S)
        try:
            yield
        finally:
            self.given_back(move)

    def given_back(self, holder: Holder) -> None:
        """Open the gate, if it is `holder` who has it."""
        if self._holder is holder:
            self._holder = None
            self._let_in()

    def stir(self) -> None:
        """Have the first who waits look again: the holder, or its lease, is another."""
        if self._line:
            next(iter(self._line)).stir()

    async def _take(self, holder: Holder, deadline: float) -> None:
        if self.is_open:
            self._holder = holder
        else:
            await self._stand_in_line(holder, deadline)
        try:
            while self._writing_count:
                left_s = _left_s(deadline, "the transaction passed its deadline behind other writes")
                self._quiet = anyio.Event()
                with anyio.move_on_after(left_s):
                    await self._quiet.wait()
        except BaseException:
            self.given_back(holder)
            raise

    async def _stand_in_line(self, holder: Holder | None, deadline: float) -> None:
        waiter = _Waiter(holder)
        self._line[waiter] = None
        try:
            while not waiter.is_let_in:
                left_s = _left_s(deadline, "the write passed its deadline behind a transaction")
                if self._holder is not None and next(iter(self._line)) is waiter:
                    lease_s = self._holder.lease_until - time.monotonic()
                    if lease_s <= 0:
                        await self._holder.end_lease()
                        continue
                    left_s = min(left_s, lease_s)
                with anyio.move_on_after(left_s):
                    await waiter.stirred.wait()
        except BaseException:
            self._leave_line(waiter)
            raise

    def _leave_line(self, waiter: _Waiter) -> None:
        """Undo what came of one whose wait ended too early."""
        if not waiter.is_let_in:
            del self._line[waiter]
            self._let_in()
        elif waiter.holder is not None:
            self.given_back(waiter.holder)
        else:
            self.left()

    def _let_in(self) -> None:
        """Let in whose turn it is: writes up to the first that wants the gate for itself, or that one."""
        while self._holder is None and self._line:
            waiter, _ = self._line.popitem(last=False)
            waiter.is_let_in = True
            if waiter.holder is None:
                self.entered()
            else:
                self._holder = waiter.holder
            waiter.stir()
        self.stir()  # another may be the first by now

    def _require_room(self) -> None:
        if len(self._line) >= self._max_waiting_count:
            holder = self._holder
            left_s = 0.0 if holder is None else holder.lease_until - time.monotonic()
            raise StorageSaturated(
                "too many writes wait for a transaction",
                retry_after_s=_LEAST_RETRY_S if left_s == _FOR_EVER_S else max(left_s, _LEAST_RETRY_S),
            )


def _left_s(deadline: float, said: str) -> float:
    """Return the seconds until `deadline`.

    Raises:
        WriteTimedOut: There are none.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise WriteTimedOut(said)
    return left_s
