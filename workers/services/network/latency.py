"""How long a round trip takes: to an HTTP server over one warm connection, or of TCP connections to a port.

A sample over HTTP is from the request to the head of its answer. It holds the server's work; a `tcp://` target, whose
kernel answers by itself, does not, but each of its samples is a new connection.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from workers.services.network.messages import Latency, Spread
from workers.services.network.reasons import reason_of
from workers.services.network.samples import spread_of
from workers.services.network.web import FAILURES, in_words, url_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx2

    from workers.services.network.messages import LatencyParams, Reason


async def latency(
    params: LatencyParams, client: httpx2.AsyncClient, on_sample: Callable[[int, int], None]
) -> Latency:
    """Take the samples one after the other; `on_sample` is told how many of how many were."""
    if params.url.startswith("tcp://"):
        host, port = _host_and_port(params.url)
        if host is None or port is None:
            return _nothing("url", params.timeout_s)

        async def connect() -> None:
            stream = await anyio.connect_tcp(host, port)
            await stream.aclose()

        return await _sampled(params, connect, on_sample)
    if url_of(params.url) is None:
        return _nothing("url", params.timeout_s)
    async with client:

        async def ask() -> None:
            await client.head(params.url)

        return await _sampled(params, ask, on_sample)


async def _sampled(
    params: LatencyParams, trip: Callable[[], Awaitable[None]], on_sample: Callable[[int, int], None]
) -> Latency:
    began = time.perf_counter()
    try:
        with anyio.fail_after(params.timeout_s):
            await trip()
    except FAILURES as error:
        return _nothing(reason_of(error), params.timeout_s)
    connect_ms = (time.perf_counter() - began) * 1000
    samples: list[float] = []
    reason: Reason = "ok"
    for number in range(params.samples_count):
        if number and params.interval_s:
            await anyio.sleep(params.interval_s)
        began = time.perf_counter()
        try:
            with anyio.fail_after(params.timeout_s):
                await trip()
        except FAILURES as error:
            reason = reason_of(error)
        else:
            samples.append((time.perf_counter() - began) * 1000)
        on_sample(number + 1, params.samples_count)
    reason = "ok" if samples else reason
    return Latency(
        reason=reason,
        detail=in_words(reason, params.timeout_s),
        connect_ms=connect_ms,
        samples_ms=tuple(samples),
        lost_count=params.samples_count - len(samples),
        spread=spread_of(samples),
    )


def _nothing(reason: Reason, timeout_s: float) -> Latency:
    return Latency(
        reason=reason,
        detail=in_words(reason, timeout_s),
        connect_ms=None,
        samples_ms=(),
        lost_count=0,
        spread=Spread(),
    )


def _host_and_port(url: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # no number, or none that a port can have
        return None, None
    return parts.hostname, port
