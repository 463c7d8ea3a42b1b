"""Files and compression: where each size is quickest (the bridges' placements), and what chunks cost by their size."""

from __future__ import annotations

import hashlib
import random
import shutil
import statistics
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, get_args

import anyio
import anyio.to_thread
from anyio.from_thread import start_blocking_portal

from tests.benchmarks.bench import compare, interleaved
from workers import BridgeSettings, Kind, open_bridges

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from anyio.from_thread import BlockingPortal
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench, Figures
    from workers import CompressionBridge, FilesBridge

    Call = Callable[[FilesBridge, CompressionBridge], Awaitable[object]]

KINDS: tuple[Kind, ...] = get_args(Kind)
KIB, MIB = 1024, 1024 * 1024
_SIZES = ((KIB, "1 KiB"), (16 * KIB, "16 KiB"), (64 * KIB, "64 KiB"), (MIB, "1 MiB"), (16 * MIB, "16 MiB"))
_AT_ONCE = 8


class Bridged:
    """The bridges of each kind on an event loop of their own; the last one places calls as it likes."""

    def __init__(
        self, portal: BlockingPortal, bridges: dict[str, tuple[FilesBridge, CompressionBridge]]
    ) -> None:
        self._portal = portal
        self._bridges = bridges

    def timed(self, kind: str, call: Call, seconds: float) -> Figures:
        """Make calls one at a time for so long and return the median of their times."""
        return self._portal.call(_timed, partial(call, *self._bridges[kind]), seconds)

    def rate(self, kind: str, call: Call, seconds: float) -> Figures:
        """Make calls, several at once, for so long and return how many ended a second, and how late the loop was."""
        return self._portal.call(_rate, partial(call, *self._bridges[kind]), seconds)


@contextmanager
def bridged(*kinds: str) -> Iterator[Bridged]:
    with start_blocking_portal("asyncio", {"use_uvloop": True}) as portal:
        opened, managers = {}, []
        try:
            for kind in kinds:
                manager = portal.wrap_async_context_manager(open_bridges(_settings(kind)))
                bridges = manager.__enter__()
                managers.append(manager)
                opened[kind] = (bridges.files, bridges.compression)
            yield Bridged(portal, opened)
        finally:
            for manager in reversed(managers):
                manager.__exit__(None, None, None)


def _settings(kind: str) -> BridgeSettings:
    return BridgeSettings(kind=next((each for each in KINDS if each == kind), None), worker_count=2)


async def _timed(call: Callable[[], Awaitable[object]], seconds: float) -> Figures:
    times: list[float] = []
    ends_at = time.perf_counter() + seconds
    while not times or time.perf_counter() < ends_at:
        begun = time.perf_counter()
        await call()
        times.append(time.perf_counter() - begun)
    return {"us": statistics.median(times) * 1e6}


async def _rate(call: Callable[[], Awaitable[object]], seconds: float) -> Figures:
    count, late_s = 0, 0.0
    begun = time.perf_counter()
    ends_at = begun + seconds

    async def ask() -> None:
        nonlocal count
        while True:
            await call()
            count += 1
            if time.perf_counter() > ends_at:
                return

    async def watch() -> None:
        nonlocal late_s
        while True:
            expected = time.perf_counter() + 0.001
            await anyio.sleep(0.001)
            late_s = max(late_s, time.perf_counter() - expected)

    async with anyio.create_task_group() as watching:
        watching.start_soon(watch)
        async with anyio.create_task_group() as asking:
            for _ in range(_AT_ONCE):
                asking.start_soon(ask)
        watching.cancel_scope.cancel()
    return {"per_s": count / (time.perf_counter() - begun), "late_ms": late_s * 1e3}


def _text(size_bytes: int) -> bytes:
    """Return text that compresses about as chat does."""
    chance = random.Random(1)  # noqa: S311 - the same text in each run
    words = [chance.randbytes(chance.randint(1, 5)).hex() for _ in range(5000)]
    made = " ".join(chance.choices(words, k=size_bytes // 5 + 10)).encode()
    return made[:size_bytes]


def _compress(_: FilesBridge, bridge: CompressionBridge, data: bytes) -> Awaitable[object]:
    return bridge.compress(data, "zstd")


def _decompress(_: FilesBridge, bridge: CompressionBridge, data: bytes | memoryview) -> Awaitable[object]:
    return bridge.decompress(data, "zstd")


def test_where_compression_runs(bench: Bench, benchmark: BenchmarkFixture) -> None:
    seconds = bench.sizes.seconds / 10
    sizes = [each for each in _SIZES if each[0] <= bench.sizes.file_bytes // 4]
    text = _text(sizes[-1][0])
    with bridged(*KINDS, "placed") as bridges:
        packed: dict[int, bytes] = {}

        async def keep(_: FilesBridge, bridge: CompressionBridge, size: int) -> None:
            packed[size] = bytes(await bridge.compress(text[:size], "zstd"))

        for size, _ in sizes:
            bridges.timed("inline", partial(keep, size=size), 0)
        figures = interleaved(
            benchmark,
            {
                f"{what} {name} {kind}": partial(bridges.timed, kind, partial(call, data=data[size]), seconds)
                for what, call, data in (
                    ("compress", _compress, {size: text[:size] for size, _ in sizes}),
                    ("decompress", _decompress, packed),
                )
                for size, name in sizes
                for kind in ("placed", *KINDS)
            },
            count=bench.sizes.round_count,
        )
    for what in ("compress", "decompress"):
        for _, name in sizes:
            for kind in KINDS:
                bench.add(
                    compare(
                        figures,
                        group="compression (zstd 3): one call at a time, as the bridge places it",
                        what=f"{what} {name}",
                        ours=f"{what} {name} placed",
                        peer=f"{what} {name} {kind}",
                        peer_name=f"always {kind}",
                        key="us",
                        unit="us",
                        better="lower",
                    )
                )


def test_compression_at_once(bench: Bench, benchmark: BenchmarkFixture) -> None:
    data = _text(MIB)
    with bridged(*KINDS) as bridges:
        figures = interleaved(
            benchmark,
            {
                kind: partial(bridges.rate, kind, partial(_compress, data=data), bench.sizes.seconds)
                for kind in KINDS
            },
            count=bench.sizes.round_count,
        )
    for kind in ("thread", "process"):
        for key, what, unit in (("per_s", "calls", "/s"), ("late_ms", "longest wait of the loop", "ms")):
            bench.add(
                compare(
                    figures,
                    group=f"compression (zstd 3): {_AT_ONCE} calls of 1 MiB at once, 2 workers",
                    what=f"{what}, {kind}",
                    ours=kind,
                    peer="inline",
                    peer_name="inline",
                    key=key,
                    unit=unit,
                    better="higher" if key == "per_s" else "lower",
                )
            )


def test_hashing(bench: Bench, benchmark: BenchmarkFixture) -> None:
    size = bench.sizes.file_bytes
    root = bench.folder("files")
    (root / "file").write_bytes(random.Random(1).randbytes(size))  # noqa: S311 - the same bytes in each run

    def ours(files: FilesBridge, _: CompressionBridge) -> Awaitable[object]:
        return files.hash("file", root=root, algorithms=("sha256", "sha512", "blake3"))

    def sha256(files: FilesBridge, _: CompressionBridge) -> Awaitable[object]:
        return files.hash("file", root=root)

    def one_by_one(*_: object) -> Awaitable[object]:
        return anyio.to_thread.run_sync(_sums, root / "file", ("sha256", "sha512", "blake2s"))

    def one(*_: object) -> Awaitable[object]:
        return anyio.to_thread.run_sync(_sums, root / "file", ("sha256",))

    calls: dict[str, Call] = {
        "three": ours,
        "sha256": sha256,
        "three by hashlib": one_by_one,
        "sha256 by hashlib": one,
    }
    with bridged("placed", "process") as bridges:
        figures = interleaved(
            benchmark,
            {
                **{name: partial(bridges.timed, "placed", call, 0) for name, call in calls.items()},
                "sha256 process": partial(bridges.timed, "process", sha256, 0),
            },
            count=bench.sizes.round_count,
        )
    rows = (
        (
            "SHA-256, SHA-512 and BLAKE3 in one reading",
            "three",
            "three by hashlib",
            "hashlib.file_digest, three (BLAKE2s)",
        ),
        ("SHA-256", "sha256", "sha256 by hashlib", "hashlib.file_digest in a thread"),
        ("SHA-256", "sha256", "sha256 process", "always process"),
    )
    for what, mine, theirs, name in rows:
        bench.add(
            compare(
                _per_second(figures, size),
                group=f"files: hashing {size // MIB} MiB",
                what=what,
                ours=mine,
                peer=theirs,
                peer_name=name,
                key="mb_s",
                unit="MB/s",
            )
        )


def test_chunks(bench: Bench, benchmark: BenchmarkFixture) -> None:
    size = bench.sizes.file_bytes
    root = bench.folder("files")
    (root / "file").write_bytes(random.Random(1).randbytes(size))  # noqa: S311 - the same bytes in each run

    async def there_and_back(files: FilesBridge, _: CompressionBridge, chunk_bytes: int) -> None:
        await anyio.to_thread.run_sync(partial(shutil.rmtree, root / "parts", ignore_errors=True))
        await files.split("file", "parts", root=root, chunk_bytes=chunk_bytes)
        await files.merge("parts", "again", root=root, overwrite=True)

    async def copied(*_: object) -> None:
        for source, target in (("file", "copy"), ("copy", "again")):
            await anyio.to_thread.run_sync(shutil.copyfile, root / source, root / target)
            await anyio.to_thread.run_sync(_sums, root / target, ("sha256",))

    with bridged("placed") as bridges:
        figures = interleaved(
            benchmark,
            {
                **{
                    str(mib): partial(
                        bridges.timed, "placed", partial(there_and_back, chunk_bytes=mib * MIB), 0
                    )
                    for mib in (1, 4, 16)
                },
                "copied": partial(bridges.timed, "placed", copied, 0),
            },
            count=bench.sizes.round_count,
        )
    for mib in (1, 4, 16):
        bench.add(
            compare(
                _per_second(figures, size),
                group=f"files: {size // MIB} MiB split into chunks and merged again, verified and on disk",
                what=f"chunks of {mib} MiB",
                ours=str(mib),
                peer="copied",
                peer_name="two copies, each with a SHA-256",
                key="mb_s",
                unit="MB/s",
            )
        )


def _sums(path: Path, names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, name).hexdigest())
    return found


def _per_second(figures: dict[str, list[Figures]], size_bytes: int) -> dict[str, list[Figures]]:
    return {
        name: [{"mb_s": size_bytes / figure["us"]} for figure in rounds] for name, rounds in figures.items()
    }
