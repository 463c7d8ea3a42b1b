"""The ASGI servers run on asyncio, and so does what they serve."""

from __future__ import annotations

from tests.support.loops import ASYNCIO, on

anyio_backend = on(ASYNCIO)
