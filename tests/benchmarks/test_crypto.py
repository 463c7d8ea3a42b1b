"""Crypto: the parts of one saved configuration, where each operation and size is quickest, and what the loop waits."""

from __future__ import annotations

import base64
import http.client
import json
import os
import statistics
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, get_args

import anyio
from anyio.from_thread import start_blocking_portal
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

import storage
from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound
from tests.support.keys import keyring
from workers import BridgeSettings, Kind, SigningKey, open_bridges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from anyio.from_thread import BlockingPortal
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench, Figures
    from workers import Keyring
    from workers.bridges.crypto import CryptoBridge
    from workers.services.crypto.digests import Digest

KINDS: tuple[Kind, ...] = get_args(Kind)
KIB, MIB = 1024, 1024 * 1024
SIZES = (
    (KIB, "1 KiB"),
    (16 * KIB, "16 KiB"),
    (64 * KIB, "64 KiB"),
    (256 * KIB, "256 KiB"),
    (MIB, "1 MiB"),
    (16 * MIB, "16 MiB"),
)
CONFIG = {
    f"setting-{number}": {"value": "x" * 40, "changed_at": 1_700_000_000 + number} for number in range(100)
}
"""Some 8 KiB of JSON."""
LARGE_BYTES, LARGE_COUNT = 64 * MIB, 8
_LEAST_COUNT = 3


@contextmanager
def crypto_of(*kinds: str) -> Iterator[tuple[BlockingPortal, dict[str, CryptoBridge]]]:
    """Give an event loop, and a bridge on it for each kind; `placed` is one that places calls by itself.

    Each has as many workers as by default, half the cores: with one a core, the loop waits for a core now and then.
    """
    with start_blocking_portal("asyncio", {"use_uvloop": True}) as portal:
        managers, opened = [], {}
        try:
            for kind in kinds:
                forced = next((each for each in KINDS if each == kind), None)
                manager = portal.wrap_async_context_manager(
                    open_bridges(BridgeSettings(kind=forced, max_waiting_bytes=4096 * MIB))
                )
                opened[kind] = manager.__enter__().crypto
                managers.append(manager)
            yield portal, opened
        finally:
            for manager in reversed(managers):
                manager.__exit__(None, None, None)


async def _timed(call: Callable[[], Awaitable[object]], seconds: float) -> Figures:
    """Make calls one at a time for so long; the first of each kind starts its worker and does not count."""
    await call()
    times: list[float] = []
    ends_at = time.perf_counter() + seconds
    while len(times) < _LEAST_COUNT or time.perf_counter() < ends_at:
        begun = time.perf_counter()
        await call()
        times.append(time.perf_counter() - begun)
    return {"us": statistics.median(times) * 1e6}


def _timed_here(call: Callable[[], object], seconds: float) -> Figures:
    times: list[float] = []
    ends_at = time.perf_counter() + seconds
    while len(times) < _LEAST_COUNT or time.perf_counter() < ends_at:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return {"us": statistics.median(times) * 1e6}


class _Accepts(BaseHTTPRequestHandler):
    """Takes a PUT and answers nothing, over a connection that stays."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def _http_server() -> Iterator[http.client.HTTPConnection]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accepts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    try:
        yield connection
    finally:
        connection.close()
        server.shutdown()
        server.server_close()


def test_a_saved_configuration(bench: Bench, benchmark: BenchmarkFixture) -> None:
    ring, key = keyring(), SigningKey.generate("ed448")
    with crypto_of("placed") as (portal, bridges), _http_server() as http_connection, key.exported() as raw:
        crypto = bridges["placed"]
        folder = bench.folder("config")
        database = portal.wrap_async_context_manager(storage.open(folder / "config.db"))
        with database as db:
            portal.call(db.execute, "CREATE TABLE config (id INTEGER PRIMARY KEY, body BLOB)")
            plain = json.dumps(CONFIG).encode()
            sealed = ring.seal(plain, b"config")[1]
            encoded = base64.b64encode(sealed)

            def request() -> None:
                http_connection.request("PUT", "/config", encoded)
                http_connection.getresponse().read()

            async def save() -> None:
                body = json.dumps(CONFIG).encode()
                digest = await crypto.hash(body)
                message = await crypto.encrypt(ring, body, context=b"config")
                signature = await crypto.sign(key, digest)
                await db.execute(
                    "INSERT INTO config VALUES (1, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                    [message],
                )
                base64.b64encode(bytes(message) + signature)

            seconds = bench.sizes.seconds / 5
            parts: dict[str, Callable[[], Figures]] = {
                "whole, without the request": lambda: portal.call(_timed, save, seconds),
                "encoding (JSON, base64)": lambda: _timed_here(
                    lambda: (json.dumps(CONFIG).encode(), base64.b64encode(sealed)), seconds
                ),
                "digest (SHA-256)": lambda: portal.call(_timed, partial(crypto.hash, plain), seconds),
                "key import (Ed448)": lambda: _timed_here(partial(SigningKey, "ed448", raw), seconds),
                "AES-256-GCM, keyring": lambda: portal.call(
                    _timed, partial(crypto.encrypt, ring, plain, context=b"config"), seconds
                ),
                "signature (Ed448)": lambda: portal.call(_timed, partial(crypto.sign, key, plain), seconds),
                "database (one row, synced)": lambda: portal.call(
                    _timed,
                    partial(
                        db.execute,
                        "INSERT INTO config VALUES (2, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                        [sealed],
                    ),
                    seconds,
                ),
                "request (HTTP, loopback)": lambda: _timed_here(request, seconds),
            }
            figures = interleaved(benchmark, parts, count=bench.sizes.round_count)
    for part in parts:
        bench.add(
            compare(
                figures,
                group=f"crypto: one encrypted, signed configuration of {len(plain) / KIB:.0f} KiB",
                what=part,
                ours=part,
                peer="whole, without the request",
                peer_name="the whole",
                key="us",
                unit="us",
                better="lower",
            )
        )


def _hash(data: bytes, algorithm: Digest, crypto: CryptoBridge) -> Awaitable[object]:
    return crypto.hash(data, algorithm)


def _encrypt(ring: Keyring, data: bytes, crypto: CryptoBridge) -> Awaitable[object]:
    return crypto.encrypt(ring, data)


def _decrypt(ring: Keyring, sealed: bytes, crypto: CryptoBridge) -> Awaitable[object]:
    return crypto.decrypt(ring, sealed)


def _sign(key: SigningKey, messages: list[bytes], crypto: CryptoBridge) -> Awaitable[object]:
    return crypto.sign_many(key, messages)


def _verify(public: bytes, items: list[tuple[bytes, bytes]], crypto: CryptoBridge) -> Awaitable[object]:
    return crypto.verify_many("ed448", public, items)


def _operations(sizes: list[tuple[int, str]]) -> dict[str, Callable[[CryptoBridge], Awaitable[object]]]:
    """Return each operation on each size, to be asked of a bridge."""
    ring, key = keyring(), SigningKey.generate("ed448")
    found: dict[str, Callable[[CryptoBridge], Awaitable[object]]] = {}
    for size, name in sizes:
        data = os.urandom(size)
        sealed = ring.seal(data)[1]
        found |= {
            f"SHA-256 {name}": partial(_hash, data, "sha256"),
            f"BLAKE3 {name}": partial(_hash, data, "blake3"),
            f"encrypt {name}": partial(_encrypt, ring, data),
            f"decrypt {name}": partial(_decrypt, ring, sealed),
        }
    for count in (1, 16):
        messages = [os.urandom(100)] * count
        found[f"sign x {count}"] = partial(_sign, key, messages)
        found[f"verify x {count}"] = partial(
            _verify, key.public, [(key.sign(each), each) for each in messages]
        )
    return found


def test_where_crypto_runs(bench: Bench, benchmark: BenchmarkFixture) -> None:
    operations = _operations([each for each in SIZES if each[0] <= bench.sizes.file_bytes // 4])
    with crypto_of("placed", *KINDS) as (portal, bridges):
        figures = interleaved(
            benchmark,
            {
                f"{what} {kind}": partial(
                    portal.call, _timed, partial(call, bridges[kind]), bench.sizes.seconds / 20
                )
                for what, call in operations.items()
                for kind in ("placed", *KINDS)
            },
            count=bench.sizes.round_count,
        )
    for what in operations:
        for kind in KINDS:
            bench.add(
                compare(
                    figures,
                    group="crypto: one call at a time, as the bridge places it",
                    what=what,
                    ours=f"{what} placed",
                    peer=f"{what} {kind}",
                    peer_name=f"always {kind}",
                    key="us",
                    unit="us",
                    better="lower",
                )
            )


async def _stalled(work: Callable[[], Awaitable[object]], count: int) -> Figures:
    """Have `count` of `work` done at once; return how long a ticker of 1 ms waited at worst, and how long it all took."""
    late_s = 0.0

    async def watch() -> None:
        nonlocal late_s
        while True:
            expected = time.perf_counter() + 0.001
            await anyio.sleep(0.001)
            late_s = max(late_s, time.perf_counter() - expected)

    async def do() -> None:
        await work()

    async with anyio.create_task_group() as watching:
        watching.start_soon(watch)
        await anyio.sleep(0.01)
        begun = time.perf_counter()
        async with anyio.create_task_group() as working:
            for _ in range(count):
                working.start_soon(do)
        whole_s = time.perf_counter() - begun
        watching.cancel_scope.cancel()
    return {"late_ms": late_s * 1e3, "ms": whole_s * 1e3}


def test_the_loop_while_much_is_encrypted(bench: Bench, benchmark: BenchmarkFixture) -> None:
    ring, cipher = keyring(), AESGCM(bytes(32))
    data = os.urandom(MIB) * (bench.sizes.file_bytes // MIB)
    with crypto_of("placed", "process") as (portal, bridges):

        def ours(kind: str) -> Callable[[], Figures]:
            return partial(portal.call, _stalled, partial(bridges[kind].encrypt, ring, data), LARGE_COUNT)

        def plain() -> Awaitable[object]:
            return anyio.to_thread.run_sync(cipher.encrypt, bytes(12), data, None)

        for bridge in bridges.values():
            portal.call(bridge.encrypt, ring, bytes(MIB))  # its worker starts
        figures = interleaved(
            benchmark,
            {
                "placed": ours("placed"),
                "process": ours("process"),
                "to_thread": partial(portal.call, _stalled, plain, LARGE_COUNT),
                "idle": partial(portal.call, _stalled, partial(anyio.sleep, 0.2), 1),
            },
            count=bench.sizes.round_count,
        )
    group = f"crypto: {LARGE_COUNT} x {len(data) // MIB} MiB encrypted at once"
    for kind, peer, name in (
        ("placed", "to_thread", "AESGCM in anyio.to_thread"),
        ("placed", "idle", "an idle loop"),
        ("process", "to_thread", "AESGCM in anyio.to_thread"),
    ):
        bench.add(
            compare(
                figures,
                group=group,
                what=f"longest wait of the loop, {'thread' if kind == 'placed' else kind}",
                ours=kind,
                peer=peer,
                peer_name=name,
                key="late_ms",
                unit="ms",
                better="lower",
                goal=Bound(limit=5.0, of="ours") if peer == "idle" else None,
            )
        )
        if peer != "idle":
            bench.add(
                compare(
                    figures,
                    group=group,
                    what=f"until all are encrypted, {'thread' if kind == 'placed' else kind}",
                    ours=kind,
                    peer=peer,
                    peer_name=name,
                    key="ms",
                    unit="ms",
                    better="lower",
                )
            )
