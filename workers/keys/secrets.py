"""Bytes that are wiped after use, and that no log, repr, pickle or copy shows.

How far wiping goes in CPython: the buffer of a `Secret` is overwritten in place, and it is the only copy that this
package makes of a data key. Out of reach are: what the caller holds beside it (a `bytes` or `str` can't be
overwritten), copies inside OpenSSL (freed with its own cleansing when the cipher object is collected), registers and
stack frames of C code, pages that were swapped out, and a core dump taken while the key was in use. Where that matters,
let a process of its own hold the keys and end it.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, NoReturn

from typing_extensions import override

if TYPE_CHECKING:
    from typing import Self

_RANDOM_DEVICE = "/dev/urandom"


class _Wiping(bytearray):
    """Overwrites itself when the last who uses it lets go, which may be later than the secret is gone."""

    def __del__(self) -> None:
        self[:] = bytes(len(self))


class Secret:
    """Bytes in one buffer that `wipe`, leaving a `with`, or nobody's using it any more overwrites."""

    __slots__ = ("_data", "_is_wiped")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        """Copy `data`; the caller wipes its own buffer, if it can."""
        self._data = _Wiping(data)
        self._is_wiped = False

    @classmethod
    def of_length(cls, length: int) -> Self:
        """Return a secret of zeros to be filled through `buffer`."""
        return cls(bytearray(length))

    @classmethod
    def random(cls, length: int = 32) -> Self:
        """Return fresh random bytes, read from the kernel into the buffer itself where there is a device for it."""
        secret = cls.of_length(length)
        try:
            device = os.open(_RANDOM_DEVICE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            secret.buffer[:] = os.urandom(length)
            return secret
        try:
            filled = os.readv(device, [secret.buffer])
        finally:
            os.close(device)
        if filled != length:
            raise OSError(f"the random device gave {filled} of {length} bytes")
        return secret

    @property
    def buffer(self) -> bytearray:
        """The bytes themselves, for a call that reads or fills them.

        Raises:
            ValueError: They were wiped.
        """
        if self._is_wiped:
            raise ValueError("the secret was wiped")
        return self._data

    @property
    def is_wiped(self) -> bool:
        """Whether it is gone."""
        return self._is_wiped

    def wipe(self) -> None:
        """Overwrite the bytes; calling again does nothing."""
        self._is_wiped = True
        self._data[:] = bytes(len(self._data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __len__(self) -> int:
        return len(self._data)

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.buffer, other.buffer)

    __hash__ = None  # type: ignore[assignment]  # what can be wiped can't be a key of a dict

    @override
    def __repr__(self) -> str:
        return "<secret, wiped>" if self._is_wiped else f"<secret of {len(self._data)} bytes>"

    @override
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a secret is neither pickled nor copied")
