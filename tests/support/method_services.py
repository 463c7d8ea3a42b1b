"""A typed service for the tests of requests; each method does one thing that a request must cope with."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workers import Body, MethodService, PortableError, Task, method


class Declined(PortableError):
    """What the service raises on purpose."""


class Numbers(msgspec.Struct, frozen=True):
    left: int
    right: int = 0


class Sum(msgspec.Struct, frozen=True):
    total: int


class Digest(msgspec.Struct, frozen=True):
    sizes: list[int]
    hexes: list[str]


class Moved(msgspec.Struct, frozen=True):
    input_is_mapped: bool
    output_file_number: int
    pid: int


class BenchMethods(MethodService):
    """Adds, hashes, returns buffers, reports, waits, dies: whatever its caller asks for."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        if options.get("broken"):
            raise RuntimeError("this service can't be built")

    @method()
    def add(self, params: Numbers, task: Task) -> Sum:  # noqa: ARG002 - every method gets one
        return Sum(params.left + params.right)

    @method()
    def digest(self, params: None, task: Task) -> Digest:  # noqa: ARG002
        buffers = task.buffers
        return Digest([len(each) for each in buffers], [hashlib.sha256(each).hexdigest() for each in buffers])

    @method()
    def reverse(self, params: None, task: Task) -> tuple[Sum, Sequence[bytes]]:  # noqa: ARG002
        outputs = [bytes(each)[::-1] for each in task.buffers]
        return Sum(sum(map(len, outputs))), outputs

    @method()
    def invert(self, params: int | None, task: Task) -> tuple[Sum, Sequence[Body]]:
        """Flip all bits of the first buffer into an output of the task's; keep the first `params` bytes."""
        source = task.buffers[0]
        output = task.allocate(source.nbytes)
        for start in range(0, source.nbytes, 1 << 16):
            piece = source[start : start + (1 << 16)]
            flipped = int.from_bytes(piece, "big") ^ ((1 << 8 * len(piece)) - 1)
            output.view[start : start + len(piece)] = flipped.to_bytes(len(piece), "big")
        if params is not None:
            output.trim(params)
        return Sum(source.nbytes), [output]

    @method()
    def touch(self, params: None, task: Task) -> int:  # noqa: ARG002
        """Do nothing with the buffers but look at their ends."""
        return sum(each[-1] for each in task.buffers if each.nbytes)

    @method()
    def moved(self, params: None, task: Task) -> tuple[Moved, Sequence[Body]]:  # noqa: ARG002
        """Tell how the bytes came and will go: whether the input is a map, and which file the output is."""
        source = task.buffers[0]
        output = task.allocate(source.nbytes)
        output.view[:5] = source[:5]
        file_number = os.fstat(output.fd).st_ino if output.fd is not None else 0
        return Moved(not isinstance(source.obj, bytes | bytearray), file_number, os.getpid()), [output]

    @method()
    def many(self, params: int, task: Task) -> tuple[None, Sequence[bytes]]:  # noqa: ARG002
        return None, [b"x"] * params

    @method()
    def wrong(self, params: None, task: Task) -> Sum:  # noqa: ARG002
        return "not a sum"  # type: ignore[return-value]  # that is the point

    @method()
    def decline(self, params: str, task: Task) -> None:  # noqa: ARG002
        raise Declined("declined on purpose", why=params)

    @method()
    def count(self, params: int, task: Task) -> int:
        for number in range(params + 1):
            task.progress(number, params, "counting")
        return params

    @method()
    def obey(self, params: float, task: Task) -> str:
        """Wait for `params` seconds at most, looking whether it is still wanted."""
        pause = threading.Event()
        for _ in range(int(params / 0.001)):
            task.check()
            pause.wait(0.001)
        return "waited"

    @method(idempotent=False)
    def die(self, params: None, task: Task) -> None:  # noqa: ARG002
        os.kill(os.getpid(), signal.SIGKILL)

    @method()
    def die_in_a_process(self, params: None, task: Task) -> str:  # noqa: ARG002
        if self.options["worker_kind"] == "process":
            os.kill(os.getpid(), signal.SIGKILL)
        return str(self.options["worker_kind"])

    @method()
    def die_once(self, params: str, task: Task) -> str:  # noqa: ARG002
        """Kill the worker unless the file `params` says that it was killed before."""
        if not Path(params).exists():
            Path(params).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return str(self.options["worker_kind"])

    @method(idempotent=False)
    def deaf(self, params: float, task: Task) -> str:  # noqa: ARG002
        threading.Event().wait(params)
        return "waited"

    @method()
    def deaf_in_a_process(self, params: float, task: Task) -> str:  # noqa: ARG002
        if self.options["worker_kind"] == "process":
            threading.Event().wait(params)
        return str(self.options["worker_kind"])

    @method()
    def thread(self, params: None, task: Task) -> int:  # noqa: ARG002
        return os.getpid() ^ threading.get_native_id() << 32

    @method()
    def where(self, params: None, task: Task) -> str:  # noqa: ARG002
        return str(self.options["worker_kind"])
