"""How much gets through: one download or upload, bounded in bytes and in time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import httpx2

from workers.services.network.messages import Bandwidth
from workers.services.network.reasons import reason_of
from workers.services.network.web import FAILURES, in_words, url_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from workers.services.network.messages import BandwidthParams, Reason

_PIECE_BYTES = 64 * 1024


async def bandwidth(
    params: BandwidthParams, client: httpx2.AsyncClient, on_bytes: Callable[[int, int], None]
) -> Bandwidth:
    """Do the transfer; `on_bytes` is told how many of how many bytes went through."""
    if url_of(params.url) is None:
        return _result(params, "url", _Meter())
    meter = _Meter()
    reason: Reason = "ok"
    move = _down if params.direction == "down" else _up
    try:
        async with client:
            with anyio.move_on_after(params.max_s) as limit:
                await move(client, params, meter, on_bytes)
            if limit.cancelled_caught:
                meter.is_bounded = True
                meter.stop()
    except FAILURES as error:
        reason = reason_of(error)
        meter.stop()
    if reason == "ok" and meter.status is not None and httpx2.codes.is_error(meter.status):
        reason = "status"
    elif reason == "ok" and meter.status is None and not meter.transferred_bytes:
        reason = "timeout"
    return _result(params, reason, meter)


class _Meter:
    def __init__(self) -> None:
        self.transferred_bytes = 0
        self.status: int | None = None
        self.is_bounded = False
        self.took_s = 0.0
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def stop(self) -> None:
        self.took_s = time.perf_counter() - self._began if self._began else 0.0


async def _down(
    client: httpx2.AsyncClient, params: BandwidthParams, meter: _Meter, on_bytes: Callable[[int, int], None]
) -> None:
    async with client.stream("GET", params.url) as response:
        meter.status = response.status_code
        meter.start()
        async for piece in response.aiter_raw():
            meter.transferred_bytes += len(piece)
            on_bytes(min(meter.transferred_bytes, params.max_bytes), params.max_bytes)
            if meter.transferred_bytes >= params.max_bytes:
                meter.is_bounded = True
                break
        meter.stop()


async def _up(
    client: httpx2.AsyncClient, params: BandwidthParams, meter: _Meter, on_bytes: Callable[[int, int], None]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        piece = bytes(_PIECE_BYTES)
        meter.start()
        while meter.transferred_bytes < params.max_bytes:
            size = min(_PIECE_BYTES, params.max_bytes - meter.transferred_bytes)
            yield piece if size == _PIECE_BYTES else piece[:size]
            meter.transferred_bytes += size
            on_bytes(meter.transferred_bytes, params.max_bytes)

    headers = {"Content-Length": str(params.max_bytes), "Content-Type": "application/octet-stream"}
    async with client.stream("POST", params.url, content=pieces(), headers=headers) as response:
        meter.status = response.status_code
        meter.stop()


def _result(params: BandwidthParams, reason: Reason, meter: _Meter) -> Bandwidth:
    return Bandwidth(
        reason=reason,
        detail=in_words(reason, params.timeout_s),
        status=meter.status,
        transferred_bytes=meter.transferred_bytes,
        took_s=meter.took_s,
        bits_per_s=meter.transferred_bytes * 8 / meter.took_s if meter.took_s > 0 else 0.0,
        is_bounded=meter.is_bounded,
    )
