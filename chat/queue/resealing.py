"""Seals payloads anew that wait under another key than the present one, a few at a time, while the queue runs.

Which keys are older is not told by their names. So a process seals anew what it finds under any other key when it
begins, and later only what is under a key that it has itself seen replaced: two processes, one of which has not heard
of the newest key yet, never seal the same payloads to and fro. A payload that does not open stays as it is and waits
for its key. A key is out of use when `keys_in_use` does not name it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from chat.queue.digest_secret import reseal_digest_secret
from chat.queue.packing import context_of
from chat.queue.sealing import CannotOpen, SealError
from chat.queue.tables import BATCH_BYTES

if TYPE_CHECKING:
    from chat.queue.sealing import Seal
    from chat.queue.tables import Tables

_MOST_ROUNDS = 20
"""The rest waits for the next time."""
_PAGE_COUNT = 100

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Resealing:
    """Brings the payloads of one queue under the present key."""

    def __init__(self, tables: Tables, seal: Seal) -> None:
        self._tables = tables
        self._seal = seal
        self._present: str | None = None
        self._older: set[str] | None = None
        self._seen_plain_id = 0

    async def keys_in_use(self) -> dict[str, int]:
        """Return how many payloads are sealed with each key."""
        return dict(await self._tables.read("keys_in_use"))

    async def run(self) -> int:
        """Seal some payloads anew; return how many."""
        present = self._seal.key_id
        if present is None:
            return 0
        keys = {row[0] for row in await self._tables.read("sealing_keys")} - {present}
        if self._older is None:
            self._older = set(keys)
        elif self._present is not None and self._present != present:
            self._older.add(self._present)
            self._older.discard(present)
        self._present = present
        try:
            await reseal_digest_secret(self._tables, self._seal, self._older)
        except SealError as error:
            _log.warning("chat.resealing_delayed", error=str(error))
            return 0
        count = await self._seal_plain()
        for key_id in sorted(keys & self._older):
            count += await self._seal_anew(key_id)
        if count:
            _log.info("chat.payloads_resealed", count=count)
        return count

    async def _seal_anew(self, key_id: str) -> int:
        count = last_id = 0
        for _ in range(_MOST_ROUNDS):
            rows = await self._tables.read_some("sealed_with", (key_id, last_id), _PAGE_COUNT)
            if not rows:
                break
            last_id = rows[-1][0]
            count += await self._reseal(rows)
        return count

    async def _seal_plain(self) -> int:
        """Seal what was stored before the queue had a seal."""
        count = 0
        for _ in range(_MOST_ROUNDS):
            rows = await self._tables.read_some("not_sealed", (self._seen_plain_id,), _PAGE_COUNT)
            if not rows:
                break
            self._seen_plain_id = rows[-1][0]
            count += await self._reseal(rows)
        return count

    async def _reseal(self, rows: list[tuple[Any, ...]]) -> int:
        """Seal `rows` anew in transactions that the writer takes, however large the payloads are."""
        count = size_bytes = 0
        named: list[tuple[str, Any]] = []
        for id_, client_id, name, lane_key, revision, key_id, sealed in rows:
            context = context_of(client_id, name, lane_key)
            try:
                body = sealed if key_id is None else self._seal.open(key_id, sealed, context)
                new_key_id, again = self._seal.seal(body, context)
            except CannotOpen:
                continue  # it is shown as it is, and waits
            except SealError as error:
                _log.warning("chat.resealing_delayed", error=str(error))
                break
            named.append(("reseal", (id_, revision, key_id, new_key_id, again)))
            size_bytes += len(again)
            if size_bytes >= BATCH_BYTES:
                count += await self._written(named)
                named, size_bytes = [], 0
        return count + await self._written(named)

    async def _written(self, named: list[tuple[str, Any]]) -> int:
        if not named:
            return 0
        return sum(written.changes for written in await self._tables.write_all(named))
