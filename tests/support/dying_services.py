"""Services that kill their process at a step that a file beside the database names, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from storage.sqlite.checkpoints import Governor
from storage.sqlite.service import ReaderService
from storage.sqlite.writer import WriterService
from storage.sqlite.writer_connection import WriterConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers import Call

WRITER = "tests.support.dying_services:DyingWriter"
READER = "tests.support.dying_services:DyingReader"


def order_death(path: Path, step: str) -> Path:
    """Have the worker of the database at `path` die at `step`; the file returned is gone when it did."""
    order = path.with_name(path.name + ".die")
    order.write_text(step)
    return order


def _perhaps_die(path: str, step: str) -> None:
    order = Path(f"{path}.die")
    if order.exists() and order.read_text() == step:
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


class _DyingConnection(WriterConnection):
    @override
    def begin(self, *, deadline: float | None = None) -> None:
        super().begin(deadline=deadline)
        _perhaps_die(self._path, "begun")

    @override
    def commit(self) -> None:
        _perhaps_die(self._path, "ran")
        super().commit()
        _perhaps_die(self._path, "committed")

    @override
    def tend(self) -> None:
        _perhaps_die(self._path, "tends")
        super().tend()

    @override
    def checkpoint(self) -> bool:
        _perhaps_die(self._path, "checkpoints")
        return super().checkpoint()


class DyingWriter(WriterService):
    """A writer that dies where it is told to."""

    @override
    def run_batch(self, calls: Sequence[Call]) -> list[Any]:
        _perhaps_die(calls[0].params[0], "arrived")
        outcomes = super().run_batch(calls)
        _perhaps_die(calls[0].params[0], "answers")
        return outcomes

    @override
    def _opened(self, path: str) -> WriterConnection:
        usual = super()._opened(path)
        usual.close()
        return _DyingConnection(
            path, self._settings, governor=Governor(2_000), max_result_bytes=self._settings.max_value_bytes
        )


class DyingReader(ReaderService):
    """A reader that dies where it is told to."""

    _path = ""

    @override
    def run(self, call: Call) -> Any:
        self._path = next((each for each in call.params if isinstance(each, str)), self._path)
        _perhaps_die(self._path, "asked")
        answer = super().run(call)
        _perhaps_die(self._path, "answers")
        return answer
