"""Where an example plays: a folder of its own, the size of its data, and somebody to tell what happens."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
_WORDS_COUNT = 600_000  # 4 MB, further back than codecs look for repetitions


@dataclass(frozen=True)
class Stage:
    """What an example is given."""

    folder: Path
    size_bytes: int
    """About how much data it makes, where it makes some."""
    say: Callable[[str], None]

    async def write(self, name: str, *, size_bytes: int | None = None) -> int:
        """Make a file of that size in the folder, which compresses as text does, and return its size."""
        size = self.size_bytes if size_bytes is None else size_bytes
        await anyio.to_thread.run_sync(_fill, self.folder / name, size)
        return size


Example = Callable[[Stage], Awaitable[None]]


def _fill(path: Path, size_bytes: int) -> None:
    chance = random.Random(path.name)  # noqa: S311 - the same file each time
    words = [chance.randbytes(chance.randint(1, 5)).hex() for _ in range(5000)]
    text = " ".join(chance.choices(words, k=min(_WORDS_COUNT, size_bytes // 3 + 1))).encode()
    with path.open("wb") as file:
        left = size_bytes
        while left > 0:
            left -= file.write(text[:left])
