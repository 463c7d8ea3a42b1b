"""Cells on a board, for where there is no shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.shared.board import SharedBoard
from workers.shared.errors import SharedRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from workers.shared.cells import Backing, Ear, Listener

_KIND = "kind"


class BoardCells:
    """See `Cells`."""

    backing: Backing = "owner"

    def __init__(self, board: SharedBoard, kind: int) -> None:
        """Take a board.

        Raises:
            SharedRefused: Its cells are of another kind.
        """
        if board.get(_KIND) != kind:
            board.close()
            raise SharedRefused("this is no shared object of this kind")
        self._board = board

    @classmethod
    def create(cls, kind: int, values: Sequence[int]) -> BoardCells:
        """Make cells that hold `values`; `kind` says what they mean."""
        return cls(
            SharedBoard({_KIND: kind, **{str(index): each for index, each in enumerate(values)}}), kind
        )

    @property
    def is_closed(self) -> bool:
        """See `Cells`."""
        return self._board.is_closed

    def load(self, index: int) -> int:
        """See `Cells`."""
        value: int = self._board.get(str(index), 0)
        return value

    def compare_and_swap(self, index: int, expected: int, new: int) -> bool:
        """See `Cells`."""
        return self._board.compare_and_swap(str(index), expected, new)

    def add(self, index: int, amount: int) -> int:
        """See `Cells`."""
        return self._board.add(str(index), amount)

    def listener(self) -> AbstractContextManager[Listener]:
        """See `Cells`."""
        return self._board.listener()

    def ear(self) -> AbstractAsyncContextManager[Ear]:
        """See `Cells`."""
        return self._board.ear()

    def get_buffer(self) -> bytes:
        """See `Cells`."""
        return self._board.get_buffer()

    def close(self) -> None:
        """See `Cells`."""
        self._board.close()
