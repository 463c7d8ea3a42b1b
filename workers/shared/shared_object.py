"""What the shared objects have in common: they are made, handed over and closed alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from workers.shared.opening import cells_from, new_cells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from workers.shared.cells import Backing, Cells


class SharedObject:
    """State that processes and threads have in common; safe to use from any of them at any time.

    Hand `get_buffer()` to another process of this machine (in a request's buffers or parameters, in a service's
    options) and make the same object there with `from_buffer`. Each side closes its own.
    """

    _kind: ClassVar[int]

    def __init__(self, values: Sequence[int], backing: Backing | None) -> None:
        self._cells: Cells = new_cells(self._kind, values, backing)

    @classmethod
    def from_buffer(cls, buffer: bytes | memoryview) -> Self:
        """Return the object that `get_buffer` described, in this process or another.

        Raises:
            SharedRefused: It describes none of this class, or one that was closed.
            OwnerLost: The process that handed it over is gone.
        """
        made = cls.__new__(cls)
        made._cells = cells_from(buffer, cls._kind)  # noqa: SLF001 - one of its own
        return made

    def get_buffer(self) -> bytes:
        """Return what `from_buffer` takes, good for as long as this object is open; it lets in whoever has it.

        Raises:
            SharedClosed: It was closed here.
            OSError: No socket is to be had.
        """
        return self._cells.get_buffer()

    @property
    def backing(self) -> Backing:
        """What holds it; see `capabilities`."""
        return self._cells.backing

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called here."""
        return self._cells.is_closed

    def close(self) -> None:
        """Let go of it here; who waits on it here gets `SharedClosed`. Calling again does nothing."""
        self._cells.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
