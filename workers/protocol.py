"""The messages between a pool and its workers.

Two sockets lead to a process worker. On the *data* socket the pool sends frames of `Call`s and gets frames of
`Reply`s. On the *control* socket, read by a thread of its own in the worker so that it is heard while a statement
runs, the pool sends `Start` once, then `Cancel`, `Recall`, `Ping` and `Shutdown`; the worker sends `Ready` or `StartFailed`
once, then `Recalled`, `Progress`, `Pong` and `Log`. The end of either socket is the end of the worker.

What the pool may rely on: each call is answered exactly once, by a reply or by being named in a `Recalled`, unless
the worker dies; calls are begun in the order of their `seq`. What the worker may rely on: `seq` rises, and a
`Cancel` may come before its call, during it, or after it.

A thread worker and the inline one use the same objects without encoding them.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any

import msgspec

from workers.service import Call

FIRST, STARTED_NS, LAST = 0, 1, 2
"""The page that a worker shares with its pool, as 64-bit integers: the first `seq` of what runs (0 = nothing), when
it began (`time.monotonic_ns`), and the last `seq` ever begun."""
PAGE_WORDS_COUNT = 3
PAGE_BYTES = 4096

TIMED_OUT = "timed_out"
CANCELLED = "cancelled"
FAILED = "failed"
STOPPED = "stopped"
"""Names of failures that are not a service's own; a portable error's name has a colon in it."""

_CALL_HEAD = struct.Struct(">BBQ")
_ARRAY4, _UINT64 = 0x94, 0xCF


RunUs = Annotated[int, msgspec.Meta(ge=0, le=2**38)]
"""Microseconds in the service, within what the histograms hold."""


class Response(msgspec.Struct, array_like=True, tag=0, gc=False):
    """The result of call `seq` after `run_us` microseconds in the service."""

    seq: int
    run_us: RunUs
    value: Any


class LargeResponse(msgspec.Struct, array_like=True, tag=1, gc=False):
    """A body of `length` bytes; its file comes with the frame, in the order of the messages."""

    seq: int
    run_us: RunUs
    length: Annotated[int, msgspec.Meta(ge=0)]


class SmallBody(msgspec.Struct, array_like=True, tag=3, gc=False):
    """A body that is small enough to go inside the frame."""

    seq: int
    run_us: RunUs
    value: bytes


class Parcel(msgspec.Struct, array_like=True, tag=4, gc=False):
    """The result of a typed method, and the buffers beside it: bytes, or the length of each that comes as a file."""

    seq: int
    run_us: RunUs
    value: bytes
    buffers: list[bytes | Annotated[int, msgspec.Meta(ge=0)]]


class Failure(msgspec.Struct, array_like=True, tag=2, gc=False):
    """Call `seq` failed: a portable error's name, or one of the names above."""

    seq: int
    run_us: RunUs
    name: str
    message: str
    details: dict[str, Any]


Reply = Response | SmallBody | LargeResponse | Parcel | Failure


class Start(msgspec.Struct, array_like=True, tag=10):
    """Build `service` (a `module:Class` found through `path`) with `options`."""

    path: list[str]
    service: str
    options: dict[str, Any]


class Cancel(msgspec.Struct, array_like=True, tag=11):
    """Take `seq` back if it waits, interrupt it if it runs, forget it if it was answered."""

    seq: int


class Recall(msgspec.Struct, array_like=True, tag=12):
    """Give back whatever has not begun."""


class Shutdown(msgspec.Struct, array_like=True, tag=13):
    """Finish what runs, close the service, exit."""


class Ping(msgspec.Struct, array_like=True, tag=14):
    """Answer with a `Pong`, whatever runs."""


class Ready(msgspec.Struct, array_like=True, tag=20):
    """The service is built; `is_batched` says that it takes batches."""

    is_batched: bool


class StartFailed(msgspec.Struct, array_like=True, tag=21):
    """The service could not be built; the worker exits."""

    message: str


class Recalled(msgspec.Struct, array_like=True, tag=22):
    """These calls were not begun and will not be."""

    seqs: list[int]


class Progress(msgspec.Struct, array_like=True, tag=24):
    """Call `seq` is at `done` of `total` (None if unknown); it comes before the reply to the call."""

    seq: int
    done: int
    total: int | None
    note: str


class Pong(msgspec.Struct, array_like=True, tag=25):
    """The worker is there, and has `resident_bytes` of memory (0 if it does not know)."""

    resident_bytes: int


class Log(msgspec.Struct, array_like=True, tag=23):
    """A line for the pool's log."""

    level: str
    event: str
    facts: dict[str, Any]


encoder = msgspec.msgpack.Encoder()
call_decoder = msgspec.msgpack.Decoder(list[Call])
reply_decoder = msgspec.msgpack.Decoder(list[Reply])
to_worker_decoder = msgspec.msgpack.Decoder(list[Start | Cancel | Recall | Ping | Shutdown])
from_worker_decoder = msgspec.msgpack.Decoder(list[Ready | StartFailed | Recalled | Progress | Pong | Log])


def encoded_tail(method: str, params: Any, deadline: float) -> bytes:
    """Return what a `Call` is encoded to after its `seq`, which a call gets anew each time it is sent.

    Raises:
        TypeError, OverflowError, ValueError: `params` hold something that MessagePack does not carry.
    """
    return encoder.encode((method, params, deadline))[1:]


def encoded_call(seq: int, tail: bytes) -> bytes:
    """Return the encoded `Call` of `seq` and a tail made by `encoded_tail`."""
    return _CALL_HEAD.pack(_ARRAY4, _UINT64, seq) + tail
