"""A whole file transfer: hash, compress, encrypt, split; merge, decrypt, decompress, and verify."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from workers import FileKeySource, create_keyring, open_bridges
from workers.examples.stage import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.examples.stage import Stage

CHUNK_BYTES = 4 * MIB


async def example(stage: Stage) -> None:
    """Send a file from one folder to another, as over a network that nobody trusts."""
    sender, receiver = stage.folder / "sender", stage.folder / "receiver"
    for folder in (sender, receiver):
        await anyio.Path(folder).mkdir()
    source = await anyio.to_thread.run_sync(FileKeySource.create, stage.folder / "master.key")
    keyring = await anyio.to_thread.run_sync(create_keyring, stage.folder / "keyring.json", source)
    size = await stage.write("sender/film")
    async with open_bridges() as bridges:
        files, compression, crypto = bridges.files, bridges.compression, bridges.crypto
        with _timed(stage, "hash"):
            sent = await files.hash("film", root=sender, algorithms=["blake3"])
        with _timed(stage, "compress"):
            await compression.compress_file("film", "film.zst", root=sender)
        with _timed(stage, "encrypt"):
            await crypto.encrypt_file(keyring, sender / "film.zst", sender / "film.sealed", context=b"film")
        with _timed(stage, "split"):
            split = await files.split("film.sealed", "parts", root=sender, chunk_bytes=CHUNK_BYTES)
        await anyio.Path(sender / "parts").rename(
            receiver / "parts"
        )  # here a network would carry them, in any order
        with _timed(stage, "merge"):
            await files.merge("parts", "film.sealed", root=receiver)
        with _timed(stage, "decrypt"):
            await crypto.decrypt_file(
                keyring, receiver / "film.sealed", receiver / "film.zst", context=b"film"
            )
        with _timed(stage, "decompress"):
            await compression.decompress_file("film.zst", "film", root=receiver)
        with _timed(stage, "verify"):
            received = await files.hash("film", root=receiver, algorithms=["blake3"])
    chunks_count = len(split.manifest.chunks)
    stage.say(f"{size:,} bytes went as {split.manifest.size_bytes:,} in {chunks_count} chunks")
    stage.say(f"the same file: {received.digests == sent.digests and received.size_bytes == size}")


@contextmanager
def _timed(stage: Stage, step: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    stage.say(f"{step:<10} {(time.perf_counter() - begun) * 1e3:6.0f} ms")
