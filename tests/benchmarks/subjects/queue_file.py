"""A queue's file in which very many actions wait, made by SQL in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import apsw

from chat.queue.action_queue import open_queue
from tests.benchmarks.subjects.queue_ours import LANES_COUNT
from tests.benchmarks.subjects.queue_protocol import BODY

if TYPE_CHECKING:
    from pathlib import Path

_LANES = """
WITH RECURSIVE numbers (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)
INSERT INTO lane (id, key, topic, account, priority, due_ms)
SELECT i, 'messages//room-' || (i - 1), 'messages', '', 0, 0 FROM numbers
"""
_ACTIONS = """
WITH RECURSIVE numbers (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM numbers WHERE i < :count)
INSERT INTO action (id, client_id, lane_id, type, version, state, in_lane, due_ms, created_at_ms, changed_at_ms, digest, payload)
SELECT i, printf('00000000-0000-7000-8000-%012d', i), (i - 1) % :lanes + 1, 'send-message', 1, 'queued', 1, 0, 1700000000000,
       1700000000000, randomblob(16),
       CAST(json_object('room_id', 'room-' || ((i - 1) % :lanes), 'content', :body) AS BLOB)
FROM numbers
"""
_COUNTERS = """
INSERT INTO counter (type, state, count) VALUES ('', 'open', :count), ('', 'queued', :count), ('send-message', 'queued', :count)
ON CONFLICT DO UPDATE SET count = excluded.count
"""


def create(path: Path, *, waiting_count: int) -> None:
    """Make a queue at `path` in which so many messages wait, in `LANES_COUNT` lanes or as many as they are."""
    anyio.run(_make, f"{path}.queue")
    lanes_count = min(LANES_COUNT, waiting_count)
    connection = apsw.Connection(f"{path}.queue")
    try:
        with connection:  # row by row the triggers would take ten times as long, and write an event each
            triggers = connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            connection.execute(_LANES, {"count": lanes_count})
            connection.execute(_ACTIONS, {"count": waiting_count, "lanes": lanes_count, "body": BODY})
            connection.execute(_COUNTERS, {"count": waiting_count})
            for _, sql in triggers:
                connection.execute(str(sql))
        connection.pragma("wal_checkpoint(truncate)")
    finally:
        connection.close()


async def _make(path: str) -> None:
    async with open_queue(path):
        pass
