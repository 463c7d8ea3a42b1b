"""The load generator where wrk is not installed: asyncio with httptools, one process, keep-alive connections.

Started as `python -m tests.benchmarks.web.client HOST PORT SECONDS CONNECTIONS TEMPLATE KEY_COUNT TOKEN`; prints one
line of JSON. It takes more of the machine than wrk (about one core at 12k requests/s), so its figures are lower:
compare within a run only.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import httptools
import msgspec
import uvloop
from typing_extensions import override

from loadtests.percentiles import percentile

_REQUEST_COUNT = 1_000
_STRIDE = 7919
_OK = range(200, 300)


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, requests: list[bytes], first: int, run: Run) -> None:
        self._requests = requests
        self._number = first
        self._run = run
        self._parser: Any = httptools.HttpResponseParser(self)
        self._begun = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    @override
    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._run.left(early=not self._run.is_over)

    def on_message_complete(self) -> None:
        """Count the answer and ask again, or leave when the time is over."""
        self._run.latencies_s.append(time.perf_counter() - self._begun)
        if self._parser.get_status_code() not in _OK:
            self._run.error_count += 1
        if self._run.is_over:
            self._transport.close()
        else:
            self._parser = httptools.HttpResponseParser(self)
            self._ask()

    def _ask(self) -> None:
        self._number = (self._number + 1) % _REQUEST_COUNT
        self._begun = time.perf_counter()
        self._transport.write(self._requests[self._number])


class Run:
    """What all callers of one run share."""

    def __init__(self, seconds: float, connection_count: int) -> None:
        self.latencies_s: list[float] = []
        self.error_count = 0
        self.ended = asyncio.Event()
        self._until = time.perf_counter() + seconds
        self._open_count = connection_count

    @property
    def is_over(self) -> bool:
        """Whether the time has passed."""
        return time.perf_counter() >= self._until

    def left(self, *, early: bool) -> None:
        """Note that a connection is gone; `early` when nobody meant it to go."""
        self.error_count += early
        self._open_count -= 1
        if self._open_count == 0:
            self.ended.set()


async def drive(
    *, host: str, port: int, seconds: float, connection_count: int, template: str, key_count: int, token: str
) -> dict[str, float]:
    """Load one path for `seconds` and return the same figures as wrk's script."""
    headers = f"Host: {host}:{port}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
    requests = [
        f"GET {template.replace('{key}', str(number * _STRIDE % key_count + 1))} HTTP/1.1\r\n{headers}\r\n".encode()
        for number in range(_REQUEST_COUNT)
    ]
    run = Run(seconds, connection_count)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    for first in range(connection_count):
        await loop.create_connection(lambda first=first: Caller(requests, first, run), host, port)  # type: ignore[misc]
    async with asyncio.timeout(seconds + 30):
        await run.ended.wait()
    times = run.latencies_s or [0.0]
    return {
        "requests": len(run.latencies_s),
        "seconds": time.perf_counter() - begun,
        "p50_ms": percentile(times, 50) * 1e3,
        "p99_ms": percentile(times, 99) * 1e3,
        "errors": run.error_count,
    }


def _main(arguments: list[str]) -> None:
    host, port, seconds, connections, template, key_count, token = arguments
    figures = uvloop.run(
        drive(
            host=host,
            port=int(port),
            seconds=float(seconds),
            connection_count=int(connections),
            template=template,
            key_count=int(key_count),
            token=token.removeprefix("-"),
        )
    )
    sys.stdout.buffer.write(msgspec.json.encode(figures) + b"\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
