"""The peers: three queues that keep their actions in SQLite, called in a loop by one thread, which is their best.

They block, so more callers would only wait for each other. None knows of lanes. Each is set to WAL and
`synchronous=FULL`: huey by `fsync=True`, the others by a PRAGMA on the one connection they have. What is done is gone for
good in each of them: huey and `persist:fifo` take an action out before it is handled, the two others afterwards too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tests.benchmarks.subjects.queue_protocol import BODY

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL = "PRAGMA synchronous=FULL"


class _Peer:
    """What a blocking queue is measured with."""

    async def drain(self, *, count: int, seconds: float) -> int:
        until = time.perf_counter() + seconds
        handle = self.handle
        for done_count in range(count):
            if time.perf_counter() >= until:
                return done_count
            handle()
        return count

    def handle(self) -> None:
        """Take one action out, handle it, and say so."""
        raise NotImplementedError


class HueyPeer(_Peer):
    """`SqliteHuey`, as its consumer uses it: dequeue, execute."""

    _huey: Any
    _task: Callable[[str], Any]

    async def open(self, path: str) -> None:
        from huey import SqliteHuey  # noqa: PLC0415 - a candidate's process holds nothing of the others

        self._huey = SqliteHuey(filename=f"{path}.huey", fsync=True, journal_mode="wal")
        self._task = self._huey.task()(_do_nothing)
        assert self._huey.storage.sql("PRAGMA synchronous", results=True)[0][0] == 2

    async def close(self) -> None:
        self._huey.storage.close()

    async def enqueue(self, number: int) -> object:  # noqa: ARG002 - it has no keys
        return self._task(BODY)

    async def fill(self, *, lanes: int, count: int) -> None:  # noqa: ARG002
        self._huey.flush()
        task: Any = self._task
        name = self._huey.storage.name
        rows = [(name, self._huey.serialize_task(task.s(BODY)), 0) for _ in range(count)]
        with self._huey.storage.db(commit=True) as cursor:
            cursor.executemany("insert into task (queue, data, priority) values (?, ?, ?)", rows)

    @override
    def handle(self) -> None:
        self._huey.execute(self._huey.dequeue())


class LiteQueuePeer(_Peer):
    """`LiteQueue`: pop, done."""

    _queue: Any

    async def open(self, path: str) -> None:
        from litequeue import LiteQueue  # noqa: PLC0415 - as above

        self._queue = LiteQueue(f"{path}.litequeue")
        self._queue.conn.execute(_FULL)  # it sets NORMAL by itself, and WAL

    async def close(self) -> None:
        self._queue.close()

    async def enqueue(self, number: int) -> object:  # noqa: ARG002
        return self._queue.put(BODY)

    async def fill(self, *, lanes: int, count: int) -> None:  # noqa: ARG002
        with self._queue.transaction():
            self._queue.conn.execute(f"DELETE FROM {self._queue.table}")  # noqa: S608 - its own name
            for _ in range(count):
                self._queue.put(BODY)

    @override
    def handle(self) -> None:
        message = self._queue.pop()
        _do_nothing(message.data)
        self._queue.done(message.message_id)


class PersistQueuePeer(_Peer):
    """persist-queue: `persist:ack` (`SQLiteAckQueue`: get, ack) and `persist:fifo` (`FIFOSQLiteQueue`: get)."""

    _queue: Any

    def __init__(self, options: str) -> None:
        self._acks = options == "ack"

    async def open(self, path: str) -> None:
        from persistqueue import FIFOSQLiteQueue, SQLiteAckQueue  # noqa: PLC0415 - as above

        kind = SQLiteAckQueue if self._acks else FIFOSQLiteQueue
        self._queue = kind(f"{path}.persist", auto_commit=True)
        self._queue._conn.execute(_FULL)

    async def close(self) -> None:
        self._queue.close()

    async def enqueue(self, number: int) -> object:  # noqa: ARG002
        return self._queue.put(BODY)

    async def fill(self, *, lanes: int, count: int) -> None:  # noqa: ARG002
        queue = self._queue
        row = (queue._serializer.dumps(BODY), time.monotonic())
        with queue._putter as connection:
            connection.execute(f"DELETE FROM {queue._table_name}")  # noqa: S608 - as above
            connection.executemany(queue._sql_insert, [row] * count)
        queue.total = count

    @override
    def handle(self) -> None:
        message = self._queue.get(block=False, raw=True)
        _do_nothing(message["data"])
        if self._acks:
            self._queue.ack(id=message["pqid"])


def _do_nothing(_body: str) -> None:
    return None
