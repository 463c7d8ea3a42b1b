"""Compressed and decompressed, bytes are the same; anything else is one clear error, in bounded memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from itertools import pairwise
from typing import get_args

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zlib_ng import zlib_ng

from tests.support.file_tasks import MeddlingTask, RecordingTask
from workers.errors import TaskCancelled
from workers.methods import Task
from workers.services.compression import codecs, zstd
from workers.services.compression.codecs import CodecName
from workers.services.compression.errors import CodecRefused, CompressionError, DataDamaged, OutputTooLarge
from workers.services.compression.limits import OutputLimits
from workers.services.compression.unpacking import PIECE_BYTES, Unpacker
from workers.services.compression.whole import BLOCK_BYTES, compress, decompress

CODECS: list[str] = sorted(get_args(CodecName))
REPEATED = ["gzip", "zstd"]
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(20_000))


def packed(data: bytes, codec: str, level: int | None = None, *, dictionary: bytes | None = None) -> bytes:
    return b"".join(compress(data, codec, level, dictionary=dictionary, task=Task()))


def unpacked(
    data: bytes, codec: str, limits: OutputLimits | None = None, *, dictionary: bytes | None = None
) -> bytes:
    return b"".join(decompress(data, codec, limits or OutputLimits(), dictionary=dictionary, task=Task()))


def fed(data: bytes, codec: str, cuts: list[int], limits: OutputLimits | None = None) -> bytes:
    """Decompress `data` cut into pieces at `cuts`."""
    stream = Unpacker(codec, limits or OutputLimits())
    out = bytearray()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        for piece in stream.feed(data[start:end]):
            out += piece
    stream.end()
    return bytes(out)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=3000), times=st.integers(1, 60), level=st.integers(1, 7))
def test_compressed_and_decompressed_bytes_are_the_same(
    codec: str, data: bytes, times: int, level: int
) -> None:
    assert unpacked(packed(data * times, codec, level), codec) == data * times


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 10**6), max_size=12), frames=st.integers(1, 3))
def test_any_split_of_the_bytes_decompresses_alike(codec: str, cuts: list[int], frames: int) -> None:
    frames = frames if codec in REPEATED else 1
    data = packed(TEXT[:50_000], codec) * frames
    assert fed(data, codec, cuts) == TEXT[:50_000] * frames


@pytest.mark.parametrize("codec", CODECS)
def test_every_level_makes_a_stream_that_any_reader_takes(codec: str) -> None:
    module = codecs._codec(codec, None)
    for level in module.LEVELS:
        assert unpacked(packed(TEXT[:20_000], codec, level), codec) == TEXT[:20_000]
    assert module.DEFAULT_LEVEL in module.LEVELS


def test_other_libraries_read_what_is_written_and_write_what_is_read() -> None:
    assert gzip.decompress(packed(TEXT, "gzip")) == TEXT
    assert zlib.decompress(packed(TEXT, "zlib")) == TEXT
    assert zlib.decompress(packed(TEXT, "deflate"), -15) == TEXT
    assert brotli.decompress(packed(TEXT, "brotli")) == TEXT
    assert unpacked(gzip.compress(TEXT), "gzip") == TEXT
    assert unpacked(zlib.compress(TEXT), "zlib") == TEXT


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_larger_than_a_block_is_done_with_progress_and_can_be_stopped(codec: str) -> None:
    task = RecordingTask()
    data = b"".join(compress(TEXT, codec, task=task))
    assert task.seen[-1] == (len(TEXT), len(TEXT))
    assert len(task.seen) == -(-len(TEXT) // BLOCK_BYTES)
    task = RecordingTask()
    assert b"".join(decompress(data, codec, OutputLimits(), task=task)) == TEXT
    assert task.seen[-1] == (len(data), len(data))
    with pytest.raises(TaskCancelled):
        compress(TEXT, codec, task=MeddlingTask(at=2))
    with pytest.raises(TaskCancelled):
        decompress(data, codec, OutputLimits(), task=MeddlingTask(at=2))


@pytest.mark.parametrize("codec", REPEATED)
def test_joined_streams_are_a_stream(codec: str) -> None:
    data = b"".join(packed(part, codec) for part in (b"one", b"", b"two" * 1000, b""))
    assert unpacked(data, codec) == b"one" + b"two" * 1000


def test_a_zstd_frame_to_skip_is_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    assert unpacked(skippable + packed(TEXT, "zstd") + skippable, "zstd") == TEXT


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_truncated_bytes_are_one_clear_error_wherever_they_end(codec: str) -> None:
    data = packed(TEXT[:3000], codec)
    for end in range(len(data)):
        with pytest.raises(DataDamaged):
            unpacked(data[:end], codec)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=100, deadline=None)
@given(data=st.binary(min_size=1, max_size=500))
def test_random_bytes_are_an_error_of_ours_or_happen_to_be_a_stream(codec: str, data: bytes) -> None:
    try:
        unpacked(data, codec, OutputLimits(max_output_bytes=10**6))
    except CompressionError as error:
        assert isinstance(error, DataDamaged | OutputTooLarge)  # noqa: PT017 - some random bytes are a stream


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_bytes_are_an_error_of_ours_and_pass_no_checksum(codec: str) -> None:
    whole, chance = packed(TEXT[:5000], codec), random.Random(codec)  # noqa: S311 - the same damage each time
    has_sum = codec in {"gzip", "zlib", "zstd"}
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(12 if has_sum else 0, len(data))] ^= 1 << chance.randrange(8)
        try:
            out = unpacked(bytes(data), codec, OutputLimits(max_output_bytes=10**6))
        except (DataDamaged, OutputTooLarge):
            continue
        assert not has_sum or out == TEXT[:5000]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("tail", [b"x", b"\0" * 100, b"trailing text"])
def test_what_follows_the_stream_is_an_error(codec: str, tail: bytes) -> None:
    with pytest.raises(DataDamaged):
        unpacked(packed(TEXT, codec) + tail, codec)
    with pytest.raises(DataDamaged):
        fed(packed(TEXT, codec) + tail, codec, [len(packed(TEXT, codec))])


@pytest.mark.parametrize("codec", sorted(set(CODECS) - set(REPEATED)))
def test_a_second_stream_after_the_first_is_an_error_where_the_codec_has_no_frames(codec: str) -> None:
    with pytest.raises(DataDamaged):
        unpacked(packed(TEXT, codec) * 2, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_lost_where_the_output_ends_about_a_piece(codec: str) -> None:
    for over in (-300, -3, -1, 0, 1, 2, 100, 257, 258, 259, 600):
        data = bytes(2 * PIECE_BYTES + over)
        assert unpacked(packed(data, codec), codec) == data


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_no_stream(codec: str) -> None:
    with pytest.raises(DataDamaged):
        unpacked(b"", codec)
    assert unpacked(packed(b"", codec), codec) == b""


# -- bombs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_stopped_by_its_ratio_in_little_memory(codec: str) -> None:
    bomb = packed(bytes(30_000_000), codec)
    assert len(bomb) < 40_000
    tracemalloc.start()
    with pytest.raises(OutputTooLarge) as caught:
        unpacked(bomb, codec, OutputLimits(max_ratio=100, free_bytes=1_000_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.details["reason"] == "ratio"
    assert peak_bytes < 12_000_000


@pytest.mark.parametrize("codec", CODECS)
def test_output_is_stopped_at_its_size(codec: str) -> None:
    data = packed(TEXT, codec)
    assert unpacked(data, codec, OutputLimits(max_output_bytes=len(TEXT))) == TEXT
    with pytest.raises(OutputTooLarge) as caught:
        unpacked(data, codec, OutputLimits(max_output_bytes=len(TEXT) - 1))
    assert caught.value.details == {"reason": "size", "limit": len(TEXT) - 1}


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_that_comes_in_pieces_is_stopped_too(codec: str) -> None:
    bomb = packed(bytes(30_000_000), codec)
    with pytest.raises(OutputTooLarge):
        fed(bomb, codec, list(range(0, len(bomb), 7)), OutputLimits(max_ratio=100, free_bytes=1000))


def test_of_nested_bombs_each_layer_is_stopped_by_itself() -> None:
    data = packed(bytes(60_000_000), "gzip", 9)
    outer = packed(data, "gzip", 9)
    assert len(outer) * 10_000 < 60_000_000
    limits = OutputLimits(max_output_bytes=5_000_000)
    inner = unpacked(outer, "gzip", limits)
    with pytest.raises(OutputTooLarge):
        unpacked(inner, "gzip", limits)


def test_many_empty_frames_are_read_without_end_of_memory() -> None:
    assert unpacked(packed(b"", "zstd") * 20_000, "zstd") == b""
    assert unpacked(zlib_ng.compress(b"", 1, 31) * 5_000, "gzip") == b""


def test_a_short_blank_file_is_no_bomb() -> None:
    for codec in CODECS:
        assert unpacked(packed(bytes(2_000_000), codec), codec) == bytes(2_000_000)


def test_a_file_that_only_begins_blank_is_no_bomb() -> None:
    data = bytes(20_000_000) + random.Random(1).randbytes(1_000_000)  # noqa: S311 - the same bytes each time
    for codec in CODECS:
        assert unpacked(packed(data, codec, 1), codec, OutputLimits(max_ratio=50)) == data


def zstd_frame(data: bytes, *, window_log: int) -> bytes:
    """Return a frame whose one block is stored, and which asks for a window of that size."""
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd" + bytes([0, (window_log - 10) << 3]) + block + data


def test_a_zstd_frame_that_asks_for_too_much_memory_is_refused() -> None:
    assert unpacked(zstd_frame(b"hello", window_log=27), "zstd") == b"hello"
    for window_log in (28, 31, 41):
        with pytest.raises(DataDamaged):
            unpacked(zstd_frame(b"hello", window_log=window_log), "zstd")


def test_limits_are_passed_only_above_them() -> None:
    limits = OutputLimits(max_output_bytes=1000, max_ratio=10, free_bytes=100)
    limits.check(input_bytes=1, output_bytes=100)
    limits.check(input_bytes=20, output_bytes=200)
    limits.check(input_bytes=1000, output_bytes=1000)
    for given_bytes, output_bytes in ((1, 101), (20, 201), (1000, 1001)):
        with pytest.raises(OutputTooLarge):
            limits.check(input_bytes=given_bytes, output_bytes=output_bytes)


# -- refusals and dictionaries ----------------------------------------------------------------------------------------


def test_what_a_codec_does_not_have_is_refused() -> None:
    for codec, level in (("gzip", 0), ("gzip", 10), ("zstd", 20), ("zstd", 0), ("brotli", 12), ("lz4", 1)):
        with pytest.raises(CodecRefused):
            packed(b"x", codec, level)
    with pytest.raises(CodecRefused):
        unpacked(b"x", "rar")
    with pytest.raises(CodecRefused):
        packed(b"x", "gzip", dictionary=b"words")
    with pytest.raises(CodecRefused):
        packed(b"x", "zstd", dictionary=b"no")


def messages(count: int) -> list[bytes]:
    return [
        b'{"id": %d, "room": "room-%d", "author": "someone", "text": "number %d"}' % (index, index % 7, index)
        for index in range(count)
    ]


def test_a_dictionary_makes_small_messages_smaller_and_is_needed_to_read_them() -> None:
    samples = messages(2000)
    dictionary = zstd.trained(samples, 4096)
    assert len(dictionary) <= 4096
    message = b'{"id": 77777, "room": "room-3", "author": "someone", "text": "number 77777"}'
    small = packed(message, "zstd", dictionary=dictionary)
    assert len(small) < len(packed(message, "zstd")) * 0.7
    assert unpacked(small, "zstd", dictionary=dictionary) == message
    with pytest.raises(DataDamaged):
        unpacked(small, "zstd")
    with pytest.raises(DataDamaged):
        unpacked(small, "zstd", dictionary=zstd.trained(samples[:1000], 2048))


@pytest.mark.parametrize(("count", "size"), [(3, 4096), (2000, 10), (2000, 10**8), (9, 4096)])
def test_a_dictionary_of_nothing_is_refused(count: int, size: int) -> None:
    with pytest.raises(CodecRefused):
        zstd.trained([b""] * count if count == 9 else messages(count), size)
