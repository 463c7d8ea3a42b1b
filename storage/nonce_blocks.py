"""Blocks of numbers for keyrings in strict mode, in a table of a database.

A block is on disk as given out (its commit is synced) before the first of its numbers can be used, so a crash loses
numbers and repeats none. A database that was restored from a backup has forgotten what was given out since: promote a
new key after a restore. (A keyring then still repeats nothing, since each of its sessions has a subkey of its own.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from storage.database import Database

MAX_BLOCK_COUNT = 1 << 32
_RESERVE = """
INSERT INTO nonce_block (key_id, next) VALUES (:key_id, :count)
ON CONFLICT (key_id) DO UPDATE SET next = next + :count
RETURNING next - :count
"""


class NonceBlocks:
    """A `workers.BlockStore` over a database; made by `open`, usable as long as the database is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, database: Database) -> Self:
        """Return the block store of `database`, whose table is made if it is not there.

        Raises:
            StorageError: As `Database.migrate`.
        """
        await database.migrate("storage.nonce_migrations")
        return cls(database)

    async def reserve(self, key_id: str, count: int) -> int:
        """Set `count` numbers of `key_id` aside and return the first; they are given to nobody else, ever.

        After any error, or when cancelled, calling again is safe: numbers may be lost, and none is repeated.

        Raises:
            ValueError: `count` is not between 1 and `MAX_BLOCK_COUNT`.
            StorageError: As `Database.execute`.
        """
        if not 1 <= count <= MAX_BLOCK_COUNT:
            raise ValueError(f"{count} numbers; 1 to {MAX_BLOCK_COUNT} can be reserved at a time")
        done = await self._database.execute(_RESERVE, {"key_id": key_id, "count": count})
        first: int = done.rows[0][0]
        return first
