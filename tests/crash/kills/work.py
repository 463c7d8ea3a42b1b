"""What the workers do while they are killed: write down each number, and answer with its square."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from workers import Body, MethodService, Task, method

RECORD = struct.Struct(">Q")
DIGITS = 50_000


class Number(msgspec.Struct, frozen=True):
    number: int


def work(ledger: str, number: int) -> int:
    """Compute for a moment, append `number` to the ledger, return its square."""
    sum(range(2_000))
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, RECORD.pack(number))
    finally:
        os.close(fd)
    return number * number


def work_in_bulk(ledger: str, number: int, data: bytes) -> tuple[int, bytes]:
    """As `work`, and give `data` back."""
    return work(ledger, number), bytes(data)


class Squares(MethodService):
    """The same as methods."""

    @method(idempotent=False)
    def square(self, params: Number, task: Task) -> int:  # noqa: ARG002
        return work(self.options["ledger"], params.number)

    @method(idempotent=False)
    def bulk(self, params: Number, task: Task) -> tuple[int, Sequence[Body]]:
        source = task.buffers[0]
        output = task.allocate(source.nbytes)
        output.view[:] = source
        return work(self.options["ledger"], params.number), [output]

    @method(idempotent=True)
    def read(self, params: Number, task: Task) -> int:  # noqa: ARG002
        return params.number * params.number

    @method(idempotent=False)
    def leave(self, params: None, task: Task) -> None:  # noqa: ARG002
        """End the thread or process this runs in."""
        raise SystemExit

    @method(idempotent=False)
    def stop_hearing(self, params: int, task: Task) -> Any:  # noqa: ARG002
        return sum(range(params))
