"""Tasks that do something while a file is worked on: they stand where a caller's progress and cancelling come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from workers.methods import Task

if TYPE_CHECKING:
    from collections.abc import Callable


class RecordingTask(Task):
    """Keeps all progress, none dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int | None]] = []

    @override
    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        self.seen.append((done, total))


class MeddlingTask(Task):
    """Calls a function (or stops itself) at one of the looks that a task takes at its deadline."""

    def __init__(self, meddle: Callable[[], object] | None = None, *, at: int = 1) -> None:
        super().__init__()
        self._meddle = meddle or self.stop
        self._left = at

    @override
    def check(self) -> None:
        super().check()
        self._left -= 1
        if self._left == 0:
            self._meddle()
