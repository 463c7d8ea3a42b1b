"""What a typed request gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Self

    from workers.body import Body

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A method's result and the buffers beside it; close it when done (it is its own context manager)."""

    value: R
    buffers: tuple[Body, ...] = ()

    def close(self) -> None:
        """Give the buffers back; calling again does nothing."""
        for body in self.buffers:
            body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
