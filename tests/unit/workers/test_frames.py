from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.frames import MAX_FRAME_BYTES, FrameBuffer, FrameError, frame

batches = st.lists(
    st.lists(st.one_of(st.none(), st.integers(-5, 5), st.binary(max_size=50)), max_size=5), max_size=6
)


def fed(buffer: FrameBuffer, data: bytes) -> list[list[object]]:
    """Feed `data` as the sockets do, and return the batches that became whole."""
    found = []
    view = memoryview(data)
    while view:
        room = buffer.writable()
        count = min(len(room), len(view))
        room[:count] = view[:count]
        buffer.filled(count)
        view = view[count:]
        found += [msgspec.msgpack.decode(payload) for payload in buffer.frames()]
    return found


@given(batches, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_any_split_of_the_bytes_gives_the_same_batches(sent: list[list[object]], sizes: list[int]) -> None:
    data = b"".join(frame([msgspec.msgpack.encode(message) for message in batch]) for batch in sent)
    buffer, found, start, turn = FrameBuffer(), [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        found += fed(buffer, data[start : start + size])
        start, turn = start + size, turn + 1
    assert found == sent


@pytest.mark.parametrize("size", [200_000, 300_000, 5_000_000])
def test_a_frame_larger_than_the_buffer_arrives_whole_between_small_ones(size: int) -> None:
    messages: list[list[object]] = [[1], [b"x" * size], [2], [b"y" * size, 3]]
    data = b"".join(frame([msgspec.msgpack.encode(each) for each in batch]) for batch in messages)
    buffer = FrameBuffer()
    assert fed(buffer, data) + fed(buffer, frame([b"\x01"])) == [*messages, [1]]


def test_an_impossible_length_is_an_error_and_not_an_allocation() -> None:
    buffer = FrameBuffer()
    with pytest.raises(FrameError, match=f"at most {MAX_FRAME_BYTES}"):
        fed(buffer, b"\xff\xff\xff\xff")
