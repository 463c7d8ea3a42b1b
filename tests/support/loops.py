"""The event loops of the tests: all that a loop can make a difference to runs on both.

A folder or module that says `anyio_backend = on(ASYNCIO)` says why. Of rules, statements and answers there is one truth;
what carries them (pools, the queue, the client's connections) is tried on both elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

Loop = tuple[str, dict[str, Any]]

ASYNCIO: Final[dict[str, Loop]] = {"asyncio": ("asyncio", {"use_uvloop": True})}
BOTH: Final[dict[str, Loop]] = ASYNCIO | {"trio": ("trio", {})}


def on(loops: Mapping[str, Loop]) -> Any:
    """Return the fixture `anyio_backend`, for the async tests of the folder or module that names it."""

    @pytest.fixture(params=list(loops.values()), ids=list(loops), scope="session", name="anyio_backend")
    def chosen(request: pytest.FixtureRequest) -> Any:
        return request.param

    return chosen


one_loop: Final = pytest.mark.parametrize(
    "anyio_backend", list(ASYNCIO.values()), ids=list(ASYNCIO), indirect=True
)
"""The mark of a test of an answer: what SQL says, where a file lies, what is refused, how much may wait.

No loop is asked for it; what brings it (calls, streams, cancellation, deadlines, whoever waits) is tried on both beside it.
"""
