"""Makes the cells of a shared object by the best means there are, or from what another process handed over."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from workers.shared.cells import BACKINGS
from workers.shared.errors import SharedRefused
from workers.shared.lending import borrowed
from workers.shared.memory import MemoryCells
from workers.shared.native import native
from workers.shared.page import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.shared.board_cells import BoardCells
    from workers.shared.cells import Backing, Cells

_BOARD_MAGIC = b"\x93\xa6board1"


def new_cells(kind: int, values: Sequence[int], backing: Backing | None) -> Cells:
    """Return cells that hold `values`; without `backing` shared memory if it is to be had, else an owner's.

    Raises:
        SharedRefused: `backing` is not to be had here.
    """
    if backing is not None and backing not in BACKINGS:
        raise SharedRefused(f"there is no backing {backing!r}; there are {', '.join(BACKINGS)}")
    machine = native()
    if backing == "atomics" and machine.atomics is None:
        raise SharedRefused("atomic operations are not to be had here")
    if backing == "lock":
        machine = replace(machine, atomics=None)
    if backing != "owner":
        try:
            return MemoryCells.create(kind, values, machine)
        except OSError as error:
            if backing is not None:
                raise SharedRefused(f"shared memory is not to be had here: {error}") from error
    return _board_cells().create(kind, values)


def cells_from(buffer: bytes | memoryview, kind: int) -> Cells:
    """Return the cells that `Cells.get_buffer` described.

    Raises:
        SharedRefused: It describes none of this `kind`, or closed ones.
        OwnerLost: The process that handed them over is gone.
    """
    buffer = bytes(buffer)
    if buffer.startswith(_BOARD_MAGIC):
        from workers.shared.board import SharedBoard  # noqa: PLC0415 - few need it

        return _board_cells()(SharedBoard.from_buffer(buffer), kind)
    found = borrowed(buffer)
    if isinstance(found, Page):
        return MemoryCells(Page(found.fd, kind), native())
    try:
        return MemoryCells(Page(found, kind), native())
    finally:
        os.close(found)


def _board_cells() -> type[BoardCells]:
    from workers.shared.board_cells import BoardCells  # noqa: PLC0415 - few need it

    return BoardCells
