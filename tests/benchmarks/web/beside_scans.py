"""Point reads over HTTP while other clients run long queries and leave in the middle: their p99, and when the SQL ended.

Started as `python -m tests.benchmarks.web.beside_scans` with its orders as JSON on stdin; prints one line of JSON. Each
client is a connection of its own. The SQL has ended when `/metrics` says that no worker is busy; it is asked over and
over after the clients left, so the time found is at most one answer of `/metrics` too long.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
import uvloop

from loadtests.percentiles import percentile
from loadtests.server_metrics import read_scrape
from tests.benchmarks.subjects.protocol import SCAN

_STRIDE = 7919
_READER_COUNT = 8
_SCANS_RUN_WITHIN_S = 5.0
_SQL_ENDS_WITHIN_S = 10.0
_ANSWER_WITHIN_S = 20.0


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    port: int
    token: str
    row: str
    """The path of one row, `{key}` in it."""
    scan: str
    """Where a query is sent to."""
    key_count: int
    read_count: int
    read_every_s: float
    scan_count: int
    scan_steps: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    sql_ended_ms: float
    """From the clients' leaving to no busy worker."""
    metrics_ms: float
    """How long one answer of `/metrics` took, the longest of those."""


class Connection:
    """One keep-alive connection; a request waits for the answer of the one before."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._orders.port)

    def leave(self) -> None:
        """Break the connection off, whatever is under way."""
        self._writer.transport.abort()

    def send(self, method: str, path: str, body: bytes = b"") -> None:
        """Send a request without waiting for its answer."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._orders.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)

    async def get(self, path: str) -> bytes:
        """Return the body of an answer that is a success and names its length."""
        async with self._turn, asyncio.timeout(_ANSWER_WITHIN_S):
            self.send("GET", path)
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            body = await self._reader.readexactly(int(headers["content-length"]))
        if " 200 " not in status:
            raise ConnectionError(f"{path}: {status} {body[:300]!r}")
        return body


async def measure(orders: Orders) -> Figures:
    """Run the reads beside the scans; half way the scans' clients leave."""
    watch = Connection(orders)
    readers = [Connection(orders) for _ in range(_READER_COUNT)]
    scans = [Connection(orders) for _ in range(orders.scan_count)]
    for connection in (watch, *readers, *scans):
        await connection.open()
    for number, reader in enumerate(readers):
        await reader.get(orders.row.replace("{key}", str(number + 1)))
    for scan in scans:
        body = {"sql": SCAN, "params": [orders.scan_steps]}
        scan.send("POST", orders.scan, msgspec.json.encode(body))
    if scans:
        await _busy(watch, at_least=1, within_s=_SCANS_RUN_WITHIN_S)
    times: list[float] = []
    reads = asyncio.create_task(_read(orders, readers, times))
    ended_ms = metrics_ms = 0.0
    if scans:
        await asyncio.sleep(orders.read_count * orders.read_every_s / 2)
        for scan in scans:
            scan.leave()
        ended_ms, metrics_ms = await _until_idle(watch)
    await reads
    for connection in (watch, *readers):
        connection.leave()
    return Figures(
        p50_ms=percentile(times, 50),
        p99_ms=percentile(times, 99),
        worst_ms=max(times),
        sql_ended_ms=ended_ms,
        metrics_ms=metrics_ms,
    )


async def _read(orders: Orders, readers: list[Connection], times: list[float]) -> None:
    first_due = time.monotonic()

    async def read(number: int, due: float) -> None:
        key = number * _STRIDE % orders.key_count + 1
        await readers[number % len(readers)].get(orders.row.replace("{key}", str(key)))
        times.append((time.monotonic() - due) * 1e3)

    async with asyncio.TaskGroup() as group:
        for number in range(orders.read_count):
            due = first_due + number * orders.read_every_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(read(number, due))


async def _busy(watch: Connection, *, at_least: int, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while read_scrape((await watch.get("/metrics")).decode()).busy_count < at_least:
            pass  # each turn waits for an answer


async def _until_idle(watch: Connection) -> tuple[float, float]:
    left = time.monotonic()
    longest_ms = 0.0
    while time.monotonic() - left < _SQL_ENDS_WITHIN_S:
        asked = time.monotonic()
        busy = read_scrape((await watch.get("/metrics")).decode()).busy_count
        longest_ms = max(longest_ms, (time.monotonic() - asked) * 1e3)
        if busy == 0:
            break
    return (time.monotonic() - left) * 1e3, longest_ms


if __name__ == "__main__":
    figures = uvloop.run(measure(msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)))
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")
