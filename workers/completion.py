"""The one place that knows asyncio from trio: futures, wake-ups, timers and readers of the running loop.

The hot path uses the loop's own means, one future and no cancel scope a call: an `anyio.fail_after` costs twice a
point read, and an `anyio.Event` a call halves the throughput (measured 2026-11).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    import trio


class Future(Protocol):
    """A result to come, awaited by one task; a cancelled wait makes it `done`."""

    def done(self) -> bool:
        """Return whether it has an outcome or nobody waits any more."""

    def set_result(self, value: Any, /) -> None:
        """Wake the task that waits with `value`; only while not `done`."""

    def set_exception(self, error: BaseException, /) -> None:
        """Wake the task that waits with `error`; only while not `done`."""

    def __await__(self) -> Generator[Any, Any, Any]: ...


class Handle(Protocol):
    """A timer that was set."""

    def cancel(self) -> None:
        """Stop it; after it went off this does nothing."""


class Loop(Protocol):
    """What a pool needs of the running loop; asyncio's own loops offer just this."""

    def create_future(self) -> Future:
        """Return a future of this loop."""

    def call_soon(self, callback: Callable[[], object], /) -> object:
        """Run `callback` in the next turn."""

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object:
        """Run `callback` in the next turn; any thread may call this.

        Raises:
            RuntimeError: The loop is closed.
        """

    def call_later(self, delay_s: float, callback: Callable[[], object], /) -> Handle:
        """Run `callback` after `delay_s` seconds."""

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> object:
        """Run `callback` whenever `fd` is readable."""

    def remove_reader(self, fd: int, /) -> object:
        """Stop watching `fd`; to be called before it is closed."""

    def add_writer(self, fd: int, callback: Callable[[], object], /) -> object:
        """Run `callback` whenever `fd` is writable."""

    def remove_writer(self, fd: int, /) -> object:
        """Stop watching `fd`; to be called before it is closed."""


def running_loop() -> Loop:
    """Return the loop that runs in this thread.

    Raises:
        RuntimeError: No loop of asyncio or trio runs here.
    """
    try:
        return cast("Loop", asyncio.get_running_loop())
    except RuntimeError:
        import trio  # noqa: PLC0415 - an optional dependency

        return _TrioLoop(trio.lowlevel.current_trio_token())


def untaken(future: Future) -> Any:
    """Return the result that `future` has and its task did not take; None if there is none.

    Asyncio cancels a task also between the turn in which its future got a result and the one in which it takes it;
    trio does not.
    """
    if not isinstance(future, asyncio.Future) or not future.done() or future.cancelled():
        return None
    return future.result() if future.exception() is None else None


class _TrioFuture:
    __slots__ = ("_done", "_error", "_task", "_value")

    def __init__(self) -> None:
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._task: Any = None

    def done(self) -> bool:
        return self._done

    def set_result(self, value: Any, /) -> None:
        self._value = value
        self._settle()

    def set_exception(self, error: BaseException, /) -> None:
        self._error = error
        self._settle()

    def _settle(self) -> None:
        self._done = True
        task, self._task = self._task, None
        if task is not None:
            import trio  # noqa: PLC0415

            trio.lowlevel.reschedule(task)

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._done:
            import trio  # noqa: PLC0415

            def abort(_: Any) -> trio.lowlevel.Abort:
                self._done, self._task = True, None
                return trio.lowlevel.Abort.SUCCEEDED

            self._task = trio.lowlevel.current_task()
            yield from trio.lowlevel.wait_task_rescheduled(abort).__await__()  # noqa: ASYNC105 - awaited by hand
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._value


class _TrioLoop:
    """Asyncio's callbacks on trio: each watch and each timer is a system task in a cancel scope."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._readers: dict[int, trio.CancelScope] = {}
        self._writers: dict[int, trio.CancelScope] = {}

    def create_future(self) -> _TrioFuture:
        return _TrioFuture()

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self._token.run_sync_soon(callback)

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> None:
        import trio  # noqa: PLC0415

        try:
            self._token.run_sync_soon(callback)
        except trio.RunFinishedError as error:
            raise RuntimeError("the loop is closed") from error

    def call_later(self, delay_s: float, callback: Callable[[], object], /) -> trio.CancelScope:
        import trio  # noqa: PLC0415

        scope = trio.CancelScope()

        async def ring() -> None:
            with scope:
                await trio.sleep(delay_s)
                callback()

        trio.lowlevel.spawn_system_task(ring)
        return scope

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None:
        import trio  # noqa: PLC0415

        self._watch(self._readers, fd, trio.lowlevel.wait_readable, callback)

    def remove_reader(self, fd: int, /) -> None:
        scope = self._readers.pop(fd, None)
        if scope is not None:
            scope.cancel()

    def add_writer(self, fd: int, callback: Callable[[], object], /) -> None:
        import trio  # noqa: PLC0415

        self._watch(self._writers, fd, trio.lowlevel.wait_writable, callback)

    def remove_writer(self, fd: int, /) -> None:
        scope = self._writers.pop(fd, None)
        if scope is not None:
            scope.cancel()

    def _watch(
        self,
        scopes: dict[int, trio.CancelScope],
        fd: int,
        wait: Callable[[int], Awaitable[None]],
        callback: Callable[[], object],
    ) -> None:
        import trio  # noqa: PLC0415

        scope = scopes[fd] = trio.CancelScope()

        async def watch() -> None:
            with scope:
                while not scope.cancel_called:
                    await wait(fd)
                    callback()

        trio.lowlevel.spawn_system_task(watch)
