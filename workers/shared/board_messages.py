"""What users of a board ask its owner, and what they are told; each in a frame (see `frames`).

A link begins with `Hello`. Then each ask gets one answer, in order; after `Listen` only `Changed` comes, when
anything changed since the last one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workers.frames import FrameBuffer, frame


class Hello(msgspec.Struct, array_like=True, tag=0):
    """Prove that the address was handed over and not guessed."""

    token: bytes


class Get(msgspec.Struct, array_like=True, tag=1):
    """Tell the values of `names`; those that were never set are left out."""

    names: list[str]


class Put(msgspec.Struct, array_like=True, tag=2):
    """Set `name`."""

    name: str
    value: msgspec.Raw


class Add(msgspec.Struct, array_like=True, tag=3):
    """Add to the whole number `name`."""

    name: str
    amount: int


class Swap(msgspec.Struct, array_like=True, tag=4):
    """Set `name` to `new` if it is `expected`."""

    name: str
    expected: msgspec.Raw
    new: msgspec.Raw


class Listen(msgspec.Struct, array_like=True, tag=5):
    """Tell when anything changes."""


class Values(msgspec.Struct, array_like=True, tag=10):
    """The answer to `Get` and, with what holds now, to `Put`, `Add` and `Swap`; empty to `Hello` and `Listen`."""

    values: dict[str, msgspec.Raw]
    is_done: bool = True
    """False if `Swap` found something else."""


class Refused(msgspec.Struct, array_like=True, tag=11):
    """It was not done."""

    is_overflow: bool
    message: str


class Changed(msgspec.Struct, array_like=True, tag=12):
    """Look again."""


Ask = Get | Put | Add | Swap
Answer = Values | Refused

MAX_ASK_BYTES = 1024 * 1024
"""Of one ask: enough for the names of all values, and all that a stranger can make an owner set aside for him."""

encoder = msgspec.msgpack.Encoder()
_asks = msgspec.msgpack.Decoder(list[Hello | Get | Put | Add | Swap | Listen])
_answers = msgspec.msgpack.Decoder(list[Values | Refused | Changed])


def framed(message: Any) -> bytes:
    """Return a message as it goes over a socket."""
    return frame([encoder.encode(message)])


def asks_in(buffer: FrameBuffer) -> list[Hello | Get | Put | Add | Swap | Listen]:
    """Return the whole messages that `buffer` holds.

    Raises:
        FrameError, msgspec.MsgspecError: They are none of ours.
    """
    return [message for payload in buffer.frames() for message in _asks.decode(bytes(payload))]


def answers_in(buffer: FrameBuffer) -> list[Values | Refused | Changed]:
    """Return the whole messages that `buffer` holds; errors as above."""
    return [message for payload in buffer.frames() for message in _answers.decode(bytes(payload))]
