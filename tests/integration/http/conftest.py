"""The ASGI servers run on asyncio, and so does what they serve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx

from tests.support.loops import ASYNCIO, on

anyio_backend = on(ASYNCIO)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """As everywhere, but that the list of open descriptors may be read: it is no disk."""
    with blockbuster_ctx() as guard:
        for function in guard.functions.values():  # as in the suite's own guard
            function.can_block_in("coverage/collector.py", ["lock_data"])
        guard.functions["os.listdir"].can_block_in("dataserver/peers.py", "_connected_descriptors")
        yield
