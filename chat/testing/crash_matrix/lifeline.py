"""How the processes of the matrix end with the one that started them, whatever becomes of that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


async def until_cut(lifeline: Connection, scope: anyio.CancelScope) -> None:
    """Cancel `scope` when the other end of `lifeline` is closed, as the kernel does for a process that dies."""
    await anyio.wait_readable(lifeline.fileno())
    scope.cancel()
