"""A task group of an object that is entered and left like a file: what its user raises comes out as it is."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@asynccontextmanager
async def own_tasks(on_leave: Callable[[], None]) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Run tasks until they have ended after `on_leave` was called, which is when this is left."""
    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        try:
            yield group
        except BaseException as error:  # noqa: BLE001 - raised again below: the group would wrap it
            failure = error
        on_leave()
    if failure is not None:
        raise failure
