"""The compression bridge gives the same answers and errors in every kind of worker, and streams in bounded memory."""

from __future__ import annotations

import array
import gzip
import os
import tracemalloc
from typing import TYPE_CHECKING, get_args

import anyio
import pytest

from tests.support.loops import one_loop
from workers import BridgeSettings, InvalidParameters, Kind, PoolClosed, open_bridges
from workers.services.compression.codecs import CodecName
from workers.services.compression.errors import CodecRefused, DataDamaged, OutputTooLarge
from workers.services.compression.limits import OutputLimits
from workers.services.files.errors import FileExists, PathRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator
    from pathlib import Path

    from workers.bridges.compression import CompressionBridge

CODECS: list[CodecName] = sorted(get_args(CodecName))
BOMB = gzip.compress(bytes(20_000_000))
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(20_000))


@pytest.fixture(autouse=True)
async def no_wait_without_end() -> AsyncIterator[None]:
    with anyio.fail_after(30):
        yield


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="module")
async def compression(kind: Kind) -> AsyncIterator[CompressionBridge]:
    async with open_bridges(BridgeSettings(kind=kind)) as bridges:
        yield bridges.compression


async def pieces(data: bytes | memoryview, size_bytes: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size_bytes):
        yield bytes(data[start : start + size_bytes])


async def gathered(stream: AsyncIterable[bytes]) -> bytes:
    out = bytearray()
    async for piece in stream:
        out += piece
    return bytes(out)


@one_loop
async def test_what_was_compressed_is_decompressed(compression: CompressionBridge) -> None:
    for codec in CODECS:
        for data in (b"", b"short", TEXT):
            packed = await compression.compress(data, codec, level=3)
            assert isinstance(packed, bytes)
            assert await compression.decompress(packed, codec) == data


@one_loop
async def test_twelve_hundred_items_go_in_three_calls(compression: CompressionBridge) -> None:
    items = [b"item %d " % number * (number % 90) for number in range(1200)]
    before = compression.stats().completed_count
    packed = await compression.compress_many(items, "zstd")
    assert await compression.decompress_many(packed, "zstd") == items
    assert compression.stats().completed_count - before == 6
    assert await compression.compress_many([], "gzip") == []


async def test_a_view_of_numbers_counts_by_its_bytes(compression: CompressionBridge) -> None:
    numbers = array.array("I", range(100_000))
    view, plain = memoryview(numbers), numbers.tobytes()
    packed = [await compression.compress(view), *await compression.compress_many([view, b"other"])]
    assert await compression.decompress_many(packed) == [plain, plain, b"other"]


@one_loop
async def test_the_limit_of_size_is_that_of_all_items_together(compression: CompressionBridge) -> None:
    packed = [gzip.compress(bytes(1000))] * 600
    assert (
        len(await compression.decompress_many(packed, "gzip", limits=OutputLimits(max_output_bytes=600_000)))
        == 600
    )
    with pytest.raises(OutputTooLarge):
        await compression.decompress_many(packed, "gzip", limits=OutputLimits(max_output_bytes=599_999))


@one_loop
async def test_a_dictionary_is_trained_and_used(compression: CompressionBridge) -> None:
    samples = [b'{"id": %d, "author": "someone", "room": "room-%d"}' % (n, n % 7) for n in range(2000)]
    dictionary = await compression.train(samples, size_bytes=4096)
    packed = await compression.compress_many(samples[:100], "zstd", dictionary=dictionary)
    assert sum(map(len, packed)) < sum(map(len, await compression.compress_many(samples[:100], "zstd"))) / 2
    assert await compression.decompress_many(packed, "zstd", dictionary=dictionary) == samples[:100]
    with pytest.raises(CodecRefused):
        await compression.train([b""] * 20)


@one_loop
async def test_errors_are_the_same_everywhere(compression: CompressionBridge) -> None:
    bomb = await compression.compress(bytes(20_000_000), "zstd")
    with pytest.raises(OutputTooLarge) as caught:
        await compression.decompress(bomb, "zstd", limits=OutputLimits(max_ratio=50))
    assert caught.value.details == {"reason": "ratio", "limit": 50.0}
    with pytest.raises(DataDamaged) as damaged:
        await compression.decompress(b"random bytes", "brotli")
    assert damaged.value.details == {"codec": "brotli"}
    with pytest.raises(CodecRefused):
        await compression.compress(b"x", "gzip", level=77)
    with pytest.raises(InvalidParameters):
        await compression.compress(b"x", "rar")  # type: ignore[arg-type]  # what a caller without types may write
    with pytest.raises(InvalidParameters):
        await compression.decompress(b"x", "gzip", limits=OutputLimits(max_ratio=-1))


@one_loop
async def test_files_are_compressed_and_decompressed(compression: CompressionBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(TEXT)
    sizes = await compression.compress_file("a", "out/a.gz", root=tmp_path, codec="gzip")
    assert (sizes.input_bytes, sizes.output_bytes) == (
        len(TEXT),
        (await anyio.Path(tmp_path / "out" / "a.gz").stat()).st_size,
    )
    assert gzip.decompress(await anyio.Path(tmp_path / "out" / "a.gz").read_bytes()) == TEXT
    sizes = await compression.decompress_file("out/a.gz", "b", root=tmp_path, codec="gzip")
    assert await anyio.Path(tmp_path / "b").read_bytes() == TEXT
    assert sizes.output_bytes == len(TEXT)
    with pytest.raises(FileExists):
        await compression.decompress_file("out/a.gz", "b", root=tmp_path, codec="gzip")
    await compression.decompress_file("out/a.gz", "b", root=tmp_path, codec="gzip", overwrite=True)
    with pytest.raises(PathRefused):
        await compression.compress_file("a", "../a.gz", root=tmp_path, codec="gzip")


@one_loop
async def test_a_bomb_in_a_file_leaves_no_file(compression: CompressionBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "bomb.gz").write_bytes(BOMB)
    with pytest.raises(OutputTooLarge):
        await compression.decompress_file("bomb.gz", "out", root=tmp_path, codec="gzip")
    await anyio.Path(tmp_path / "cut.gz").write_bytes(gzip.compress(TEXT)[:-20])
    with pytest.raises(DataDamaged):
        await compression.decompress_file("cut.gz", "out", root=tmp_path, codec="gzip")
    assert sorted([each.name async for each in anyio.Path(tmp_path).iterdir()]) == ["bomb.gz", "cut.gz"]


# -- streams, which run in this process whatever the kind -------------------------------------------------------------


@pytest.mark.parametrize("size", [7, 1000, 100_000, 3_000_000])
async def test_a_stream_is_the_same_in_any_pieces(size: int) -> None:
    text = TEXT[:5_000] if size < 100 else TEXT
    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        for codec in CODECS:
            packed = await gathered(bridge.compress_stream(pieces(text, size), codec))
            assert len(packed) < len(text) / 3
            assert await gathered(bridge.decompress_stream(pieces(packed, size), codec)) == text
            assert await bridge.decompress(packed, codec) == text


async def test_a_stream_that_is_cut_or_a_bomb_ends_with_its_error() -> None:
    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        packed = await gathered(bridge.compress_stream(pieces(TEXT, 10_000), "gzip"))
        with pytest.raises(DataDamaged):
            await gathered(bridge.decompress_stream(pieces(packed[:-5], 100), "gzip"))
        with pytest.raises(DataDamaged):
            await gathered(bridge.decompress_stream(pieces(b"", 1), "zstd"))
        bomb = await bridge.compress(bytes(50_000_000), "zstd")
        with pytest.raises(OutputTooLarge):
            await gathered(bridge.decompress_stream(pieces(bomb, 100), "zstd"))
        with pytest.raises(CodecRefused):
            await gathered(bridge.compress_stream(pieces(b"", 1), "gzip", level=99))


async def test_a_stream_holds_a_piece_at_a_time() -> None:
    block = os.urandom(500) * 1000

    async def source() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield block

    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        came = 0
        tracemalloc.start()
        packed = bridge.compress_stream(source(), "zstd")
        async for piece in bridge.decompress_stream(packed, "zstd", limits=OutputLimits(max_ratio=10_000)):
            came += len(piece)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert came == 60 * len(block)
    assert peak_bytes < 6_000_000


async def test_a_stream_that_is_left_early_leaves_nothing_running() -> None:
    async with open_bridges() as bridges:
        stream = bridges.compression.compress_stream(pieces(os.urandom(3_000_000), 100_000), "zstd")
        assert await anext(stream)
        await stream.aclose()


async def test_a_closed_bridge_starts_no_stream() -> None:
    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        await bridge.close()
        with pytest.raises(PoolClosed):
            bridge.compress_stream(pieces(b"", 1))
        with pytest.raises(PoolClosed):
            bridge.decompress_stream(pieces(b"", 1))


@one_loop
async def test_what_a_thread_could_not_stop_runs_in_a_process(tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(TEXT[:50_000])
    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        packed = await bridge.compress(TEXT[:50_000], "brotli", level=11)
        await bridge.compress_file("a", "b", root=tmp_path, codec="zstd", level=19)
        assert [pool.kind for pool in bridge.stats().pools] == ["process"]
        assert await bridge.decompress(packed, "brotli") == TEXT[:50_000]
        slow = await gathered(bridge.compress_stream(pieces(TEXT[:50_000], 50_000), "brotli", level=9))
        assert await bridge.decompress(slow, "brotli") == TEXT[:50_000]


@one_loop
async def test_what_may_become_large_leaves_the_loop() -> None:
    async with open_bridges() as bridges:
        bridge: CompressionBridge = bridges.compression
        packed = await bridge.compress(b"short" * 100)
        assert [pool.kind for pool in bridge.stats().pools] == ["inline"]
        await bridge.decompress(packed, limits=OutputLimits(max_output_bytes=1000))
        assert [pool.kind for pool in bridge.stats().pools] == ["inline"]
        await bridge.decompress(packed)
        assert [pool.kind for pool in bridge.stats().pools] == ["inline", "thread"]
