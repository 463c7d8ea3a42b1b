"""What the workers of the benchmark do: the same for ours and for the peers, as methods and as plain functions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workers import Body, MethodService, Task, method

SPIN_STEPS = 20_000
"""Steps of pure Python in one spin; about a millisecond."""


def echo(data: bytes) -> bytes:
    """Return `data`."""
    return data


def spin(steps: int) -> int:
    """Compute in pure Python for a while."""
    total = 0
    for number in range(steps):
        total += number & 3
    return total


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of a few bytes."""
    return hashlib.sha256(data).digest()


class BenchWork(MethodService):
    """The same as methods."""

    @method()
    def echo(self, params: None, task: Task) -> tuple[None, Sequence[Body | memoryview]]:  # noqa: ARG002
        if self.options["worker_kind"] != "process":
            return None, task.buffers  # as in a thread of the peers, nothing is copied
        outputs = []
        for source in task.buffers:
            output = task.allocate(source.nbytes)
            output.view[:] = source
            outputs.append(output)
        return None, outputs

    @method()
    def nothing(self, params: None, task: Task) -> None:
        """Do nothing."""

    @method()
    def spin(self, params: int, task: Task) -> int:  # noqa: ARG002
        return spin(params)

    @method()
    def digest(self, params: list[bytes], task: Task) -> list[bytes]:  # noqa: ARG002
        return [digest(each) for each in params]
