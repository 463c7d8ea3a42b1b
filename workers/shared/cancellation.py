"""A request to stop, for tasks in any number of processes at once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from workers.errors import TaskCancelled, WorkersError
from workers.shared.cells import until, wait_until
from workers.shared.shared_object import SharedObject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio import CancelScope

    from workers.shared.cells import Backing

_STATE = 0


class SharedCancellation(SharedObject):
    """Not set at first; once set it stays so."""

    _kind: ClassVar[int] = 3

    def __init__(self, *, backing: Backing | None = None) -> None:
        """Make one that others can be given.

        Raises:
            SharedRefused: This `backing` is not to be had here.
        """
        super().__init__([0], backing)

    @property
    def is_set(self) -> bool:
        """Whether the work is to stop."""
        return self._cells.load(_STATE) != 0

    def set(self) -> None:
        """Ask everybody who works under it to stop; calling again does nothing."""
        self._cells.compare_and_swap(_STATE, 0, 1)

    def check(self) -> None:
        """Return if the work is still wanted; to be called every few milliseconds of work.

        Raises:
            TaskCancelled: It is not.
        """
        if self.is_set:
            raise TaskCancelled("cancelled while it ran")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block this thread until it is set; return False if it was not within `timeout_s`.

        Raises:
            SharedClosed: It was closed here meanwhile.
            OwnerLost: Its owner is gone.
        """
        return wait_until(self._cells, lambda: self.is_set, timeout_s)

    async def until(self) -> None:
        """Wait on an event loop until it is set; errors as `wait`."""
        await until(self._cells, lambda: self.is_set)

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[CancelScope]:
        """Cancel what is done inside as soon as it is set: `async with cancellation.scope(): ...`.

        The block ends without an error then, as a cancelled scope does; `scope.cancelled_caught` tells.

        Raises:
            SharedClosed, OwnerLost: Nobody can set it any more; what was done inside was cancelled.
        """
        import anyio  # noqa: PLC0415 - a worker process must not import anyio

        failure: Exception | None = None

        async def listen(scope: CancelScope) -> None:
            nonlocal failure
            try:
                await self.until()
            except WorkersError as error:
                failure = error
            scope.cancel()

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(listen, scope)
                try:
                    yield scope
                except Exception as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
                    failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
