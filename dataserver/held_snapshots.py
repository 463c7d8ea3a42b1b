"""Snapshots that clients page through: named by a token that nobody can guess, few, and gone when nobody asks.

A worker closes a snapshot that is idle for too long by itself; what is kept here of it goes when the next one is
opened or when somebody asks for it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from storage import TransactionLost

if TYPE_CHECKING:
    from storage import Database, Snapshot
    from workers import Clock

IDLE_S: Final = 30.0
_TOKEN_BYTES: Final = 16


@dataclass(slots=True)
class _Entry:
    database: Database
    snapshot: Snapshot
    used_at: float


class HeldSnapshots:
    """The snapshots that clients page through."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    async def open(self, database: Database) -> tuple[str, Snapshot]:
        """Hold the state that `database` has now, and return the token by which it is found again.

        Raises:
            StorageError: The workers hold as many as they may, or the database can't be read.
        """
        await self._drop_idle()
        snapshot = await database.open_snapshot()
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._entries[token] = _Entry(database, snapshot, self._clock.monotonic())
        return token, snapshot

    def find(self, database: Database, token: str) -> Snapshot:
        """Return what `token` names.

        Raises:
            TransactionLost: Nothing of this database any more; the client begins again.
        """
        entry = self._entries.get(token)
        if entry is None or entry.database is not database:
            raise TransactionLost("there is no such snapshot any more; begin again with `snapshot=new`")
        entry.used_at = self._clock.monotonic()
        return entry.snapshot

    async def close(self, token: str) -> None:
        """Let go of what `token` names, if it names anything."""
        entry = self._entries.pop(token, None)
        if entry is not None:
            await entry.snapshot.close()

    async def _drop_idle(self) -> None:
        now = self._clock.monotonic()
        for token, entry in list(self._entries.items()):
            if now - entry.used_at > IDLE_S:
                await self.close(token)
