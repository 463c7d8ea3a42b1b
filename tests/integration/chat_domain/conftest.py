"""A chat on a file, with two users and a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chat_domain import ChatBench, open_bench
from tests.support.loops import ASYNCIO, on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


anyio_backend = on(
    ASYNCIO
)  # rules and statements know no loop; where tasks wait for each other, a module takes both


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ChatBench]:
    async with open_bench(tmp_path / "chat.db") as bench:
        yield bench
