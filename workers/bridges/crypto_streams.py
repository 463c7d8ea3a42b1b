"""Streams that are encrypted and decrypted as they pass, in slices of some 0.1 ms between which the loop turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from workers.keys.envelopes import STREAM_HEAD_BYTES, Head
from workers.keys.errors import DecryptError
from workers.services.batches import flat
from workers.services.crypto.streams import SLICE_BYTES, Opener, Sealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator

    from workers.buffers import Bytes
    from workers.keys.keyring import Keyring
    from workers.services.crypto.streams import Turner


async def sealed_stream(
    keyring: Keyring, chunks: AsyncIterable[Bytes], context: bytes
) -> AsyncIterator[bytes]:
    """Yield the encrypted stream; see `CryptoBridge.encrypt_stream`."""
    ticket = keyring.ticket("stream")
    head = ticket.head.packed
    with ticket.key:
        sealer = Sealer(ticket.key.buffer, head + context)
    yield head
    async for chunk in chunks:
        for piece in _turned(sealer, chunk):
            yield piece
            await checkpoint()
    yield sealer.finish()


async def opened_stream(
    keyring: Keyring, chunks: AsyncIterable[Bytes], context: bytes
) -> AsyncIterator[bytes]:
    """Yield the decrypted stream; see `CryptoBridge.decrypt_stream`."""
    begun = bytearray()
    opener: Opener | None = None
    async for chunk in chunks:
        if opener is None:
            begun += flat(chunk)
            if len(begun) < STREAM_HEAD_BYTES:
                continue
            opener = _opener(keyring, begun, context)
            rest: Bytes = begun[STREAM_HEAD_BYTES:]
        else:
            rest = chunk
        for piece in _turned(opener, rest):
            yield piece
            await checkpoint()
    if opener is None:
        raise DecryptError
    if last := opener.finish():
        yield last


def _opener(keyring: Keyring, begun: bytearray, context: bytes) -> Opener:
    head = Head.of(begun)
    if head.kind != "stream":
        raise DecryptError
    with keyring.opening_ticket(head).key as key:
        return Opener(key.buffer, head.packed + context)


def _turned(turner: Turner, chunk: Bytes) -> Iterator[bytes]:
    view = memoryview(flat(chunk))
    for start in range(0, len(view), SLICE_BYTES):
        if piece := bytes(turner.turn(view[start : start + SLICE_BYTES])):
            yield piece
