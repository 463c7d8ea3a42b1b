"""The services of the examples: plain classes with typed methods, importable where a worker runs them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated

import msgspec

from workers import MethodService, SharedProgress, Task, method


class Words(msgspec.Struct, frozen=True):
    """What to count."""

    text: str
    longest: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Words above this length are left out."""


class Counted(msgspec.Struct, frozen=True):
    """How often each word is there."""

    words: dict[str, int]


class WordService(MethodService):
    """Counts words: the example of an own service."""

    @method()
    def count(self, params: Words, task: Task) -> Counted:
        """Count the words of a text."""
        found: dict[str, int] = {}
        words = params.text.split()
        for index, word in enumerate(words):
            if index % 10_000 == 0:
                task.check()
                task.progress(index, len(words))
            if len(word) <= params.longest:
                found[word] = found.get(word, 0) + 1
        return Counted(found)


class Share(msgspec.Struct, frozen=True):
    """One worker's share of some work."""

    steps_count: int


class SharingService(MethodService):
    """Works on a share and notes each step in a progress that all workers have in common."""

    @method()
    def work(self, params: Share, task: Task) -> int:
        """Do the steps, and return the process that did them."""
        with SharedProgress.from_buffer(task.buffers[0]) as progress:
            for _ in range(params.steps_count):
                task.check()
                sum(range(2_000))  # the work
                progress.add()
        return os.getpid()


class Attempt(msgspec.Struct, frozen=True):
    """A file that counts how often it was tried."""

    path: str
    fails_count: int


class FlakyService(MethodService):
    """Dies the first few times that it is asked, as a worker may that runs out of memory."""

    @method(idempotent=True)
    def fetch(self, params: Attempt, task: Task) -> int:
        """Return how often this was tried."""
        task.check()
        path = Path(params.path)
        tried = (path.stat().st_size if path.exists() else 0) + 1
        path.write_bytes(b"x" * tried)
        if tried <= params.fails_count:
            os.kill(os.getpid(), signal.SIGKILL)
        return tried
