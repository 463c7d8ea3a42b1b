"""Hash a file with several algorithms in one reading.

SHA-256, SHA-512 and BLAKE3 are for whoever may choose. SHA-1 and MD5 are here because sums of that kind are what
others publish (package lists, object stores, old backups) and checking one against them needs the same function;
both are broken against an adversary, so no manifest of ours takes them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, Protocol

from workers.services.files.reading import Source
from workers.services.files.roots import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.methods import Task

Algorithm = Literal["sha256", "sha512", "blake3", "sha1", "md5"]
StrongAlgorithm = Literal["sha256", "sha512", "blake3"]
"""What finds damage that somebody made on purpose, too."""

DIGEST_BYTES: dict[str, int] = {"sha256": 32, "sha512": 64, "blake3": 32, "sha1": 20, "md5": 16}


class Digest(Protocol):
    """A hash under way."""

    def update(self, data: memoryview, /) -> object:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the sum so far, in lower-case hexadecimal."""


def digest(algorithm: str) -> Digest:
    """Return a new hash of `algorithm`.

    Raises:
        ValueError: There is no such algorithm.
    """
    if algorithm == "blake3":
        from blake3 import blake3  # noqa: PLC0415 - loaded by those who use it

        return blake3()
    if algorithm not in DIGEST_BYTES:
        raise ValueError(f"no hash is called {algorithm!r}")
    return hashlib.new(algorithm, usedforsecurity=algorithm not in {"sha1", "md5"})


def hash_file(
    root: str, path: str, algorithms: Sequence[str], task: Task, *, tells: bool = True
) -> tuple[int, dict[str, str]]:
    """Return the size of the file at `path` below `root` and its sums by algorithm, in hexadecimal.

    Unless it `tells`, no progress is reported: it is one of many then.

    Raises:
        FileChanged: The file was written to meanwhile.
        PathRefused, FileMissing, FileError: As `opened` says.
    """
    digests = {name: digest(name) for name in dict.fromkeys(algorithms)}
    with opened(root, path) as fd:
        source = Source(fd, path, task)
        with source.unchanged() as size:
            done = 0
            for block in source.blocks(size):
                for each in digests.values():
                    each.update(block)
                done += len(block)
                if tells:
                    task.progress(done, size)
    return size, {name: each.hexdigest() for name, each in digests.items()}


def sum_of(source: Source, algorithm: str, end: int, *, start: int = 0) -> str:
    """Return the sum of a part of an open file.

    Raises:
        FileChanged: It ends before `end`.
    """
    found = digest(algorithm)
    for block in source.blocks(end, start=start):
        found.update(block)
    return found.hexdigest()
