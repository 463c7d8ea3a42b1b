"""What every queue of the benchmark can do; each does it in the quickest way its users would find.

An action carries a message of ordinary length and is handled by a function that does nothing. All are durable when
`enqueue` returns: `synchronous=FULL`, in WAL.
"""

from __future__ import annotations

from typing import Protocol

BODY = "a message of ordinary length, as people write them in a chat, give or take a word"


class QueueCandidate(Protocol):
    """One queue on a file of its own."""

    async def open(self, path: str) -> None:
        """Open the queue in a file at `path`, or beside it; nothing is measured before this returns."""

    async def close(self) -> None:
        """Let go of the file."""

    async def enqueue(self, number: int) -> object:
        """Put one action into the queue; it is on the disk when this returns."""

    async def fill(self, *, lanes: int, count: int) -> None:
        """Empty the queue, then put `count` actions into it, of `lanes` keys where it knows of such; not measured."""

    async def drain(self, *, count: int, seconds: float) -> int:
        """Handle the `count` actions, one that blocks for `seconds` at most, and return how many are done for good."""
