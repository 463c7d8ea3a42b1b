"""An event loop of its own for one check, inside whatever worker it is in.

**Why not on the caller's loop.** A sample of latency taken there counts what else that loop does: to a server on this
machine, with a loop that computes 4 ms of every 4.5, p50 went from 2 to 16-19 ms on that loop and from 1.6 to 2-6 ms
in a thread (a busy 2-core machine, 2026-11). aioice knows asyncio only, and the caller may be on trio. And a TLS
handshake is milliseconds of computing. **Why a thread and not a process**: a check waits, so the interpreter lock is
free, and a process would cost a second copy of client and aioice (32 MB, and half a second to import them) to
measure the same. **Why it is the same everywhere**: the loop is asyncio's, made for the check and gone with
it, in a thread as in a process. In the inline kind the caller's loop runs in this very thread, so the check gets a
short-lived one, and the caller's loop stands still as it does for all that is inline.

**A resolver that hangs holds no check up.** Names are resolved by a call of the C library that nothing stops, in a thread
that an event loop waits for at its end: behind a broken resolver a check of 0.3 s took as long as that did (2026-11-24).
So nobody waits for it here; the thread ends with its call.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from typing_extensions import override

from workers.completion import running_loop
from workers.errors import TaskCancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workers.methods import Task

LOOK_S = 0.005
"""How often a check looks whether it is still wanted."""

R = TypeVar("R")


def run_on_own_loop(check: Callable[[], Awaitable[R]], task: Task) -> R:
    """Run `check` on a new asyncio loop and return its result.

    Raises:
        TaskCancelled: `task` is not wanted any more; the check was cancelled.
    """
    run = partial(anyio.run, _watched, check, task, backend="asyncio")
    return run() if not _has_loop() else _in_a_thread(run)


class _Resolvers(ThreadPoolExecutor):
    """The threads in which a loop resolves names; those that hang are left behind."""

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


async def _watched(check: Callable[[], Awaitable[R]], task: Task) -> R:
    loop: Any = running_loop()  # asyncio's own, which has this too
    loop.set_default_executor(_Resolvers(thread_name_prefix="network-name"))
    results: list[R] = []
    stopped: list[TaskCancelled] = []

    async def watch() -> None:
        while True:
            await anyio.sleep(LOOK_S)
            try:
                task.check()
            except TaskCancelled as error:
                stopped.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        results.append(await check())
        group.cancel_scope.cancel()
    if not results:
        raise stopped[0]
    return results[0]


def _has_loop() -> bool:
    try:
        anyio.lowlevel.current_token()
    except anyio.NoEventLoopError:
        return False
    return True


def _in_a_thread(run: Callable[[], Any]) -> Any:
    results: list[Any] = []
    errors: list[BaseException] = []

    def main() -> None:
        try:
            results.append(run())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=main, name="network-check")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
