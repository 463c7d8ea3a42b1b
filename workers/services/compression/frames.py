"""Streams made of one frame after another, as gzip and zstd allow: their joined files are files too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from workers.services.compression.errors import DataDamaged

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer


class Frame(Protocol):
    """One frame being decompressed, in the shape that the standard library gave such objects."""

    @property
    def eof(self) -> bool:
        """Whether the frame ended and all of it came out."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end of the frame."""

    def decompress(self, data: Buffer, max_length: int) -> bytes:
        """Take `data` and return at most `max_length` bytes."""


class Frames:
    """An `Unpacking` that starts a new frame where one ends."""

    def __init__(
        self,
        name: str,
        new: Callable[[], Frame],
        errors: tuple[type[Exception], ...],
        *,
        is_repeated: bool = True,
    ) -> None:
        self._name = name
        self._new = new
        self._errors = errors
        self._is_repeated = is_repeated
        self._frame: Frame | None = None
        self._rest = b""
        """What came after the end of the last frame."""
        self._frames_count = 0

    @property
    def is_hungry(self) -> bool:
        """See `Unpacking`."""
        return not self._rest and (self._frame is None or self._frame.needs_input)

    @property
    def is_whole(self) -> bool:
        """See `Unpacking`."""
        return self._frame is None and self._frames_count > 0

    def push(self, data: Buffer, max_bytes: int) -> bytes:
        """See `Unpacking`."""
        taken = self._rest or memoryview(data)
        self._rest = b""
        frame = self._frame
        try:
            if frame is None:
                if not len(taken):
                    return b""
                if self._frames_count and not self._is_repeated:
                    raise DataDamaged(f"something follows the {self._name} stream", codec=self._name)
                self._frames_count += 1
                self._frame = frame = self._new()
            out = frame.decompress(taken, max_bytes)
        except self._errors as error:
            raise DataDamaged(
                f"this is no {self._name} stream, or a damaged one", codec=self._name
            ) from error
        if frame.eof:
            self._rest = frame.unused_data
            self._frame = None
        return out
