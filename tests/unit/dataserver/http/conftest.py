"""The ASGI servers run on asyncio, and so does what they serve."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> Any:
    return "asyncio", {"use_uvloop": True}
