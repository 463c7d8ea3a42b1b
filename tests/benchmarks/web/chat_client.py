"""Loads a chat over WebSocket from a process of its own, with frames made and read by hand: cheaper than a library's.

Started as `python -m tests.benchmarks.web.chat_client WORKLOAD PORT ARGUMENTS`, the last one JSON; prints figures as
JSON. A server under test is one that takes `send` and tells `event`, be it ours or a peer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
import uvloop
from typing_extensions import override

from loadtests.percentiles import percentile

_CONNECT_LIMIT_S: Final = 30.0
_DRAIN_LIMIT_S: Final = 10.0
_AT_ONCE: Final = 50
_SAMPLE: Final = 8
"""Of so many events one is looked at for when it was sent."""
_SENT_AT: Final = b'"content":"t'
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


class Socket(asyncio.Protocol):
    """One client."""

    def __init__(self, head: bytes, on_frame: Callable[[bytes], None]) -> None:
        self._head = head
        self._on_frame = on_frame
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._head)

    @override
    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if not self._is_open:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                return
            if not received.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(RuntimeError(f"refused: {bytes(received)!r}"))
                return
            del received[: end + 4]
            self._is_open = True
            self.opened.set_result(None)
        at = 0
        while len(received) - at >= 2:
            length, begin = received[at + 1], at + 2
            if length == 126:
                length, begin = int.from_bytes(received[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, begin = int.from_bytes(received[at + 2 : at + 10], "big"), at + 10
            if len(received) < begin + length:
                break
            if received[at] & 0x0F == 1:
                self._on_frame(bytes(received[begin : begin + length]))
            at = begin + length
        del received[:at]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"lost: {exc}"))

    def say(self, command: Any) -> None:
        """Send a command; the mask is one of zeros, which masks nothing and is one."""
        payload = msgspec.json.encode(command)
        length = len(payload)
        head = (
            bytes((0x81, 0x80 | length)) if length < 126 else bytes((0x81, 0xFE)) + length.to_bytes(2, "big")
        )
        if self._transport is not None:
            self._transport.write(head + bytes(4) + payload)


async def _connected(
    port: int, tokens: list[str], count: int, on_frame: Callable[[int], Callable[[bytes], None]]
) -> list[Socket]:
    loop = asyncio.get_running_loop()
    sockets: list[Socket] = []
    async with asyncio.timeout(_CONNECT_LIMIT_S):
        while len(sockets) < count:
            numbers = range(len(sockets), min(count, len(sockets) + _AT_ONCE))
            made = await asyncio.gather(
                *[
                    loop.create_connection(
                        lambda number=number: Socket(_head(tokens[number % len(tokens)]), on_frame(number)),  # type: ignore[misc]
                        "127.0.0.1",
                        port,
                    )
                    for number in numbers
                ]
            )
            sockets += [protocol for _, protocol in made]
            await asyncio.gather(*[protocol.opened for _, protocol in made])
    return sockets


def _head(token: str) -> bytes:
    return (
        f"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\n"
        f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


async def sends(
    port: int, *, tokens: list[str], room: str, seconds: float, connection_count: int, window: int, run: str
) -> dict[str, float]:
    """Send as fast as acknowledgements come, `window` in flight on each connection; each is on disk when counted."""
    sent_at: dict[int, float] = {}
    waits: list[float] = []
    until = time.perf_counter() + _CONNECT_LIMIT_S
    number = refused = 0

    def send(connection: int) -> None:
        nonlocal number
        number += 1
        sent_at[number] = time.perf_counter()
        sockets[connection].say({
            "id": number, "op": "send", "room": room, "client_id": f"{run}-{number}", "content": "hello there, all",
        })  # fmt: skip

    def answered(connection: int) -> Callable[[bytes], None]:
        def take(frame: bytes) -> None:
            nonlocal refused
            if not frame.startswith(b'{"id"'):
                return
            refused += b'"ok"' not in frame
            now = time.perf_counter()
            waits.append(now - sent_at.pop(int(frame[6 : frame.index(b",")])))
            if now < until:
                send(connection)

        return take

    sockets = await _connected(port, tokens, connection_count, answered)
    begun = time.perf_counter()
    until = begun + seconds
    for connection in range(connection_count):
        for _ in range(window):
            send(connection)
    await _until(lambda: not sent_at and time.perf_counter() >= until, seconds + _DRAIN_LIMIT_S)
    elapsed_s = time.perf_counter() - begun
    return _figures(waits, len(waits) / elapsed_s, refused)


async def fan_out(
    port: int,
    *,
    tokens: list[str],
    room: str,
    seconds: float,
    connection_count: int,
    window: int,
    rate_per_s: float,
    run: str,
) -> dict[str, float]:
    """Send to a room that all connections follow; at a rate, or (0) with so many events on their way to all."""
    delivered = said = answered = refused = 0
    waits: list[float] = []

    def take(frame: bytes) -> None:
        nonlocal delivered, answered, refused
        if frame.startswith(b'{"event"'):
            delivered += 1
            if delivered % _SAMPLE == 0:
                begin = frame.find(_SENT_AT) + len(_SENT_AT)
                waits.append(time.perf_counter() - int(frame[begin : frame.index(b'"', begin)]) / 1e9)
        elif frame.startswith(b'{"id"'):
            answered += 1
            refused += b'"ok"' not in frame

    sockets = await _connected(port, tokens, connection_count, lambda _: take)
    for socket in sockets:
        socket.say({"id": 1, "op": "subscribe", "streams": {room: None}})
    await _until(lambda: answered == connection_count, _CONNECT_LIMIT_S)
    waits.clear()
    delivered = 0
    begun = time.perf_counter()
    until = begun + seconds
    while (now := time.perf_counter()) < until:
        due = (now - begun) * rate_per_s if rate_per_s else delivered / connection_count + window
        while said < due:
            said += 1
            sockets[said % connection_count].say({
                "id": 1, "op": "send", "room": room, "client_id": f"{run}-{said}",
                "content": f"t{time.perf_counter_ns()}",
            })  # fmt: skip
        await asyncio.sleep(0.001)
    await _until(lambda: delivered >= said * connection_count, _DRAIN_LIMIT_S)
    elapsed_s = time.perf_counter() - begun
    figures = _figures(waits, delivered / elapsed_s, refused)
    return {**figures, "missing": said * connection_count - delivered}


async def idle(port: int, *, tokens: list[str], room: str, connection_count: int) -> dict[str, float]:
    """Connect clients that follow a room, say so on stdout, and stay until stdin ends."""
    answered = 0

    def take(_: bytes) -> None:
        nonlocal answered
        answered += 1

    sockets = await _connected(port, tokens, connection_count, lambda _: take)
    for socket in sockets:
        socket.say({"id": 1, "op": "subscribe", "streams": {room: None}})
    await _until(lambda: answered >= connection_count, _CONNECT_LIMIT_S)
    sys.stdout.write("connected\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    return {"connection_count": len(sockets)}


async def ordered(
    port: int, *, tokens: list[str], room: str, seconds: float, window: int, delay_s: float, run: str
) -> dict[str, float]:
    """Send as one device does, numbered, `window` in flight, through a line that takes `delay_s` each way."""
    line = await _delayed(port, delay_s)
    number = answered = 0
    waits: list[float] = []
    refused = 0
    until = time.perf_counter() + _CONNECT_LIMIT_S
    sent_at: dict[int, float] = {}

    def send() -> None:
        nonlocal number
        number += 1
        sent_at[number] = time.perf_counter()
        socket.say({
            "id": number, "op": "send", "room": room, "client_id": f"{run}-{number}", "content": "in order",
            "session": run, "dev_seq": number,
        })  # fmt: skip

    def take(frame: bytes) -> None:
        nonlocal answered, refused
        answered += 1
        refused += b'"ok"' not in frame
        now = time.perf_counter()
        waits.append(now - sent_at.pop(int(frame[6 : frame.index(b",")])))
        if now < until:
            send()

    async with line:
        (socket,) = await _connected(line.sockets[0].getsockname()[1], tokens[:1], 1, lambda _: take)
        begun = time.perf_counter()
        until = begun + seconds
        for _ in range(window):
            send()
        await _until(lambda: not sent_at and time.perf_counter() >= until, seconds + _DRAIN_LIMIT_S)
        return _figures(waits, answered / (time.perf_counter() - begun), refused)


async def _delayed(port: int, delay_s: float) -> asyncio.Server:
    """Listen on a port from which everything reaches `port`, and comes back, `delay_s` later."""
    loop = asyncio.get_running_loop()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            loop.call_later(delay_s, writer.write, data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    return await asyncio.start_server(connect, "127.0.0.1", 0)


async def _until(fact: Callable[[], bool], limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while not fact():  # noqa: ASYNC110 - an event a frame would be a load of its own
            await asyncio.sleep(0.005)


def _figures(waits: list[float], per_s: float, refused: int) -> dict[str, float]:
    return {
        "per_s": per_s,
        "p50_ms": percentile(waits, 50) * 1e3,
        "p99_ms": percentile(waits, 99) * 1e3,
        "refused": refused,
    }


_WORKLOADS: Final[dict[str, Any]] = {"sends": sends, "fan_out": fan_out, "idle": idle, "ordered": ordered}

if __name__ == "__main__":
    arguments = msgspec.json.decode(sys.argv[3])
    figures = uvloop.run(_WORKLOADS[sys.argv[1]](int(sys.argv[2]), **arguments))
    sys.stdout.write(msgspec.json.encode(figures).decode())
