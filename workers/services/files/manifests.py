"""What a file in chunks is made of: pure values and the decision whether a chunk is the one that comes next."""

from __future__ import annotations

from typing import Annotated

import msgspec

from workers.services.files.errors import ChunkRefused, FileUnreadable
from workers.services.files.hashing import DIGEST_BYTES, StrongAlgorithm

MIN_CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 16 * 1024 * 1024
MAX_CHUNKS_COUNT = 100_000
"""1.6 TB in chunks of 16 MiB; the manifest has 7 MB then."""

ChunkBytes = Annotated[int, msgspec.Meta(ge=MIN_CHUNK_BYTES, le=MAX_CHUNK_BYTES)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file in chunks: all but the last have `chunk_bytes`; sums are lower-case hexadecimal.

    An empty file has no chunks.
    """

    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    chunk_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNK_BYTES)]
    algorithm: StrongAlgorithm
    chunks: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_CHUNKS_COUNT)]
    digest: str
    """Of the whole file."""

    def length_of(self, index: int) -> int:
        """Return the size in bytes of chunk `index`."""
        return min(self.chunk_bytes, self.size_bytes - index * self.chunk_bytes)

    def check(self) -> None:
        """See that the parts fit each other.

        Raises:
            FileUnreadable: They don't.
        """
        length = DIGEST_BYTES[self.algorithm] * 2
        sums = (self.digest, *self.chunks)
        if len(self.chunks) != chunks_count(self.size_bytes, self.chunk_bytes) or any(
            len(each) != length or set(each) - _HEXADECIMAL for each in sums
        ):
            raise FileUnreadable("the manifest contradicts itself")


_HEXADECIMAL = frozenset("0123456789abcdef")


def chunks_count(size_bytes: int, chunk_bytes: int) -> int:
    """Return how many chunks a file of `size_bytes` has."""
    return -(-size_bytes // chunk_bytes)


def chunk_name(index: int) -> str:
    """Return the name of the file that holds chunk `index`."""
    return f"{index:06d}.chunk"


def index_of(name: str) -> int | None:
    """Return the index that `chunk_name` made `name` of; None for any other name."""
    stem, dot, kind = name.partition(".")
    if not dot or kind != "chunk" or not stem.isdecimal() or chunk_name(int(stem)) != name:
        return None
    return int(stem)


def accept(manifest: Manifest, index: int, *, length: int, digest: str) -> None:
    """Take the bytes that stand at place `index`, by their length and sum, for that chunk.

    Raises:
        ChunkRefused: They are another chunk of the same file (`doubled` when that one came before, else
            `misplaced`), or nothing the manifest knows (`damaged`).
    """
    if length == manifest.length_of(index) and digest == manifest.chunks[index]:
        return
    for other, expected in enumerate(manifest.chunks):
        if digest == expected and length == manifest.length_of(other):
            reason = "doubled" if other < index else "misplaced"
            raise refused(index, reason, f"chunk {index} holds what belongs at {other}", found=other)
    raise refused(index, "damaged", f"chunk {index} is damaged: {length} bytes, sum {digest[:16]}...")


def refused(index: int, reason: str, message: str, *, found: int | None = None) -> ChunkRefused:
    """Return the error that says which chunk was refused and why; `found` is the chunk in its place."""
    return ChunkRefused(message, index=index, reason=reason, found=found)
