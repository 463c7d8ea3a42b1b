"""A chat on a file, with two users and a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chat_domain import ChatBench, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ChatBench]:
    async with open_bench(tmp_path / "chat.db") as bench:
        yield bench
