from __future__ import annotations

from typing import Any

import anyio
import pytest

from chat.client.own_settings import OwnSettings
from chat.errors import Unreachable
from storage import StorageFull
from tests.support.waiting import until


@pytest.mark.parametrize(
    "trouble", [StorageFull("no space"), Unreachable()], ids=["a full disk", "no contact"]
)
async def test_settings_that_could_not_be_taken_over_are_tried_again_and_the_client_goes_on(
    trouble: Exception,
) -> None:
    fetched = 0

    class Sync:
        async def fetch(self) -> None:
            nonlocal fetched
            fetched += 1
            if fetched == 1:
                raise trouble

    nothing: Any = None
    sync: Any = Sync()
    settings = OwnSettings(sync, nothing, nothing, nothing)
    async with anyio.create_task_group() as group:
        group.start_soon(settings.run)
        for count in (1, 2):
            settings.outdated()
            await until(lambda: fetched == count)  # noqa: B023 - awaited before the next one
        group.cancel_scope.cancel()
