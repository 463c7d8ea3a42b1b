"""Messages of the control socket: any split of bytes reads alike, and none is longer than its bound."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from dataserver import control
from dataserver.commands import Chunk, CommandFailed, Done, Query
from dataserver.control import ControlError, Failed, framed, receive_frame, receive_reply


class Pieces(ByteReceiveStream):
    """A stream that gives what it was made of, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    @override
    async def receive(self, max_bytes: int = 65_536) -> bytes:
        if not self._pieces:
            raise anyio.EndOfStream
        piece, self._pieces[0] = self._pieces[0][:max_bytes], self._pieces[0][max_bytes:]
        if not self._pieces[0]:
            del self._pieces[0]
        return piece

    @override
    async def aclose(self) -> None:
        self._pieces = []


def stream_of(*pieces: bytes) -> BufferedByteReceiveStream:
    return BufferedByteReceiveStream(Pieces(list(pieces)))


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.lists(st.integers(0, 300), max_size=6))
def test_any_split_of_bytes_gives_the_same_replies(texts: list[bytes], cuts: list[int]) -> None:
    sent = b"".join(framed(Chunk(text)) for text in texts)
    edges = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    pieces = [sent[start:end] for start, end in pairwise(edges)]

    async def received() -> list[object]:
        stream = stream_of(*pieces)
        return [await receive_reply(stream) for _ in texts]

    assert anyio.run(received) == [Chunk(text) for text in texts]


async def test_a_failure_on_the_other_side_is_raised_here_with_its_kind() -> None:
    with pytest.raises(CommandFailed, match="no such table") as failed:
        await receive_reply(stream_of(framed(Failed("SqlError", "no such table: t"))))
    assert failed.value.kind == "SqlError"


async def test_a_server_that_goes_away_is_not_mistaken_for_an_answer() -> None:
    whole = framed(Done(5))
    for cut in range(len(whole)):
        with pytest.raises(ControlError, match="went away"):
            await receive_reply(stream_of(whole[:cut]))


async def test_what_is_no_reply_is_refused() -> None:
    for message in (b"\x00\x00\x00\x01\xc1", framed(Query(database="x", sql="SELECT 1"))):
        with pytest.raises(ControlError, match="cannot read"):
            await receive_reply(stream_of(message))


async def test_a_message_past_the_bound_is_neither_sent_nor_received(monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = framed(Chunk(b"x" * 100))
    monkeypatch.setattr(control, "MAX_MESSAGE_BYTES", 50)
    with pytest.raises(ControlError, match="at most 50"):
        framed(Chunk(b"x" * 100))
    with pytest.raises(ControlError, match="at most 50"):
        await receive_frame(stream_of(too_long))
