"""The part of the crypto bridge that encrypts and decrypts files and streams under the keys of a keyring.

A file may be encrypted twice with one subkey, when a worker died over it: each stream of Cobblestone draws a salt, and
with it a key and nonces, of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio.to_thread

from workers.bridges.crypto_sealing import SealingBridge
from workers.bridges.crypto_streams import opened_stream, sealed_stream
from workers.keys.envelopes import STREAM_HEAD_BYTES, Head
from workers.keys.errors import DecryptError
from workers.services.crypto import service
from workers.services.crypto.streams import opened_source

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from workers.buffers import Bytes
    from workers.keys.keyring import Keyring
    from workers.requests import OnProgress


class FileSealingBridge(SealingBridge):
    """Encrypts and decrypts files and streams; the public face is `CryptoBridge`."""

    async def encrypt_file(
        self,
        keyring: Keyring,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        context: bytes = b"",
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Encrypt a file of any size as a stream and return the length of the new one, which is on disk then.

        The target appears when it is whole, readable by its owner alone; one that was there is replaced.

        Raises:
            FileRefused: A file can't be read or written; the target is as it was, as after any error.
        """
        ticket = keyring.ticket("stream")
        params = _file_params(source, target, ticket.head, context)
        with self._lent(ticket.key, self._place("seal_file", 0)) as key:
            return await self._request(
                "seal_file", params, int, buffers=[key], timeout_s=timeout_s, on_progress=on_progress
            )

    async def decrypt_file(
        self,
        keyring: Keyring,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        context: bytes = b"",
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Decrypt a file and return the length of the new one, which is on disk then; as `encrypt_file`.

        Raises:
            DecryptError: Its key is not here, the context is another one, or it was changed or cut.
            FileRefused: A file can't be read or written; the target is as it was, as after any error.
        """
        head = await anyio.to_thread.run_sync(_head_of_file, os.fspath(source))
        ticket = keyring.opening_ticket(head)
        params = _file_params(source, target, head, context)
        with self._lent(ticket.key, self._place("open_file", 0)) as key:
            return await self._request(
                "open_file", params, int, buffers=[key], timeout_s=timeout_s, on_progress=on_progress
            )

    def encrypt_stream(
        self, keyring: Keyring, chunks: AsyncIterable[Bytes], *, context: bytes = b""
    ) -> AsyncIterator[bytes]:
        """Yield what `chunks` are encrypted, in constant memory; the whole is what `decrypt_file` reads, too."""
        return sealed_stream(keyring, chunks, context)

    def decrypt_stream(
        self, keyring: Keyring, chunks: AsyncIterable[Bytes], *, context: bytes = b""
    ) -> AsyncIterator[bytes]:
        """Yield what `chunks` are decrypted; each piece is genuine, but only the end tells that none is missing.

        Raises:
            DecryptError: As `decrypt_file`; do not use what came before it as if it were all.
        """
        return opened_stream(keyring, chunks, context)


def _file_params(
    source: str | os.PathLike[str], target: str | os.PathLike[str], head: Head, context: bytes
) -> service.FileParams:
    return service.FileParams(
        source=os.fspath(source), target=os.fspath(target), head=head.packed, context=context
    )


def _head_of_file(path: str) -> Head:
    with open(opened_source(path), "rb") as file:  # noqa: PTH123 - it is open already
        head = Head.of(file.read(STREAM_HEAD_BYTES))
    if head.kind != "stream":
        raise DecryptError
    return head
