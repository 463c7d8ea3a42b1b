"""The log of changes of one database, as all its readers in this process share it: read once for those at its end.

Invariant: what is kept is a part of the log without holes, and no more than `KEPT_COUNT` changes and about `KEPT_BYTES`. A
reader at its end is served from it; the first of many that were stirred together reads what is new, and the others
find it. A reader further back reads the log by itself.

Whoever writes through this process stirs the readers, whatever it wrote; nothing is asked of the database while nobody
writes, but once in `TICK_S` by one of those who wait, for what other processes write. (`PRAGMA data_version` would be no cheaper than the
end of the log, and means nothing across the connections of a pool.)
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from storage.changes import Change, Cursor, change_cursor, followed_tables
from storage.errors import HistoryLost, ResultTooLarge, SqlError, TableNotFollowed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from storage.queries import Queries

TICK_S = 2.0
PAGE_COUNT = 256
PAGE_BYTES = 1024 * 1024
"""About: a page has at least one change, which may be larger."""
KEPT_COUNT = 1_024
KEPT_BYTES = 4 * 1024 * 1024

_PAGE = """
SELECT log.epoch,
    coalesce((SELECT min(seq) FROM _changes) - 1, 0), coalesce((SELECT max(seq) FROM _changes), 0),
    found.seq, found.at_ms, found."table", found.op, found.key, found.old, found.new
FROM _changes_log AS log LEFT JOIN (
    SELECT * FROM (
        SELECT *, sum(octet_length(key) + coalesce(octet_length(old), 0) + coalesce(octet_length(new), 0))
            OVER (ORDER BY seq) AS bytes
        FROM (SELECT * FROM _changes WHERE seq > ?1 ORDER BY seq LIMIT ?2)
    ) WHERE bytes <= ?3 OR seq = ?1 + 1
) AS found ORDER BY found.seq
"""
_decode = msgspec.json.Decoder().decode


class ChangeLog:
    """The end of the log, and who waits for it to grow."""

    def __init__(self, source: Queries) -> None:
        self._source = source
        self._lock = anyio.Lock()
        self._stirred = anyio.Event()
        self._waiting_count = 0
        self._stirred_at = time.monotonic()
        self.stirs = 0
        """How often somebody wrote, or may have."""
        self._read_at = -1
        """How many stirs there had been when the end was read last."""
        self._kept: deque[tuple[Change, int]] = deque()
        self._kept_bytes = 0
        self._end: Cursor | None = None
        """Behind the last change kept."""

    def stir(self) -> None:
        """Have those who wait look whether there is more."""
        self.stirs += 1
        self._stirred_at = time.monotonic()
        if self._waiting_count:
            self._waiting_count = 0
            stirred, self._stirred = self._stirred, anyio.Event()
            stirred.set()

    async def wait(self, stirs: int, wait_s: float) -> None:
        """Wait until there were more than `stirs`, but for no longer than `wait_s` or a tick."""
        if self.stirs != stirs:
            return
        self._waiting_count += 1
        with anyio.move_on_after(min(wait_s, TICK_S)):
            await self._stirred.wait()
        if time.monotonic() - self._stirred_at >= TICK_S:
            self.stir()

    async def require(self, tables: Collection[str] | None) -> None:
        """Let pass who asks for tables that are followed.

        Raises:
            TableNotFollowed: One is not, or there is no log at all.
        """
        if tables is None:
            await self.end()
            return
        missing = set(tables) - {name.lower() for name in await followed_tables(self._source)}
        if missing:
            raise TableNotFollowed(f"not followed: {', '.join(sorted(missing))}")

    async def end(self) -> Cursor:
        """Return the place behind the last change.

        Raises:
            TableNotFollowed: There is no log.
        """
        return await change_cursor(self._source)

    async def after(self, cursor: Cursor) -> list[Change]:
        """Return changes that come next after `cursor`, none if it is the end.

        Raises:
            HistoryLost: They are not in the log.
            TableNotFollowed: There is no log.
        """
        stirs = self.stirs
        end = self._end
        if cursor == end and self._read_at >= stirs:
            return []
        if end is None or cursor.epoch != end.epoch or cursor.seq >= end.seq:
            async with self._lock:
                if cursor == self._end and self._read_at >= stirs:
                    return []
                if not self._has_next(cursor):
                    stirs = self.stirs
                    page, is_end = await self._page(cursor)
                    self._keep(cursor, page)
                    self._read_at = stirs if is_end else -1
                    return [change for change, _ in page]
        if self._has_next(cursor):
            first = self._kept[0][0].seq
            start = cursor.seq + 1 - first
            return [change for change, _ in islice(self._kept, start, start + PAGE_COUNT)]
        page, _ = await self._page(cursor)
        return [change for change, _ in page]

    def _has_next(self, cursor: Cursor) -> bool:
        end = self._end
        return (
            end is not None
            and cursor.epoch == end.epoch
            and end.seq - len(self._kept) <= cursor.seq < end.seq
        )

    def _keep(self, cursor: Cursor, page: Sequence[tuple[Change, int]]) -> None:
        if cursor != self._end:
            self._kept.clear()
            self._kept_bytes = 0
            self._end = cursor
        for change, size_bytes in page:
            self._kept.append((change, size_bytes))
            self._kept_bytes += size_bytes
            self._end = change.cursor
        while len(self._kept) > KEPT_COUNT or self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= self._kept.popleft()[1]

    async def _page(self, cursor: Cursor) -> tuple[list[tuple[Change, int]], bool]:
        """Read what comes next from the log, with about the bytes of each change, and whether that is the log's end."""
        try:
            rows = await self._rows(cursor.seq)
        except SqlError as error:
            raise TableNotFollowed("no table of the database was ever followed") from error
        epoch, lost_seq, last_seq = rows[0][:3]
        if epoch != cursor.epoch:
            raise HistoryLost(
                "the database has another history than the cursor", cursor=f"{epoch}-{last_seq}"
            )
        if not lost_seq <= cursor.seq <= last_seq:
            raise HistoryLost(
                f"the log has the changes {lost_seq + 1} to {last_seq}, and those after {cursor.seq} are asked for",
                cursor=f"{epoch}-{last_seq}",
            )
        page = [_change(epoch, row[3:]) for row in rows if row[3] is not None]
        return page, not page or page[-1][0].seq == last_seq

    async def _rows(self, seq: int) -> list[tuple[Any, ...]]:
        try:
            return await self._source.query(_PAGE, [seq, PAGE_COUNT, PAGE_BYTES])
        except ResultTooLarge:
            return await self._source.query(_PAGE, [seq, 1, PAGE_BYTES])


def _change(epoch: str, row: Sequence[Any]) -> tuple[Change, int]:
    seq, at_ms, table, op, key, old, new = row
    change = Change(
        epoch=epoch,
        seq=seq,
        at_ms=at_ms,
        table=table,
        op=op,
        key=[_value(each) for each in _decode(key)],
        old=_values(old),
        new=_values(new),
    )
    return change, len(key) + len(old or "") + len(new or "") + 200


def _values(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    return {name: _value(each) for name, each in _decode(text).items()}


def _value(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    if "$hex" in stored:
        return bytes.fromhex(stored["$hex"])
    return float(stored["$real"])
