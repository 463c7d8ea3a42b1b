"""A writer on a disk that fails, with what it told its callers: for comparing with what is there after a restart."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import apsw

from storage import StorageError, WriteOutcomeUnknown
from tests.support.writing import WriterBench

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from random import Random

    from tests.support.faulty_disk import FaultyDisk, Operation, Survival

_INSERT = "INSERT INTO item (number, part) VALUES (?, ?)"


class Ledger:
    """Numbers that are written, each with one or two parts, and what became of each."""

    def __init__(self, folder: Path, disk: FaultyDisk) -> None:
        self._folder = folder
        self._disk = disk
        self._bench = WriterBench(folder)
        self._bench.schema("CREATE TABLE item (number INTEGER, part INTEGER, PRIMARY KEY (number, part))")
        self._parts: dict[int, int] = {}
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        """Written or not: the disk failed in the middle, and nobody can say."""

    def write(self, *parts: int) -> list[str]:
        """Write a new number for each of `parts`, all in one batch; return what each caller is told."""
        numbers = [self._number(count) for count in parts]
        calls = [
            self._bench.write_all(*((_INSERT, [number, part]) for part in range(count)))
            for number, count in zip(numbers, parts, strict=True)
        ]
        return self._settle(numbers, self._bench.run(*calls))

    def write_twice(self) -> list[str]:
        """Write a number twice in one batch: the second is refused."""
        number = self._number(1)
        told = self._bench.run(
            self._bench.write(_INSERT, [number, 0]), self._bench.write(_INSERT, [number, 0])
        )
        return [*self._settle([number], told[:1]), type(told[1]).__name__]

    def fill(self, size_bytes: int) -> None:
        """Write so much beside, that checkpoints come."""
        self._bench.run(self._bench.write("CREATE TABLE IF NOT EXISTS ballast (data)"))
        self._bench.run(self._bench.write("INSERT INTO ballast VALUES (randomblob(?))", [size_bytes]))

    def checkpoint(self) -> Any:
        """Empty the log; return whether that was done, or the error."""
        return self._bench.run(self._bench.call("checkpoint"))[0]

    def kill(self) -> None:
        """End the writer without a word: what the system has, it keeps."""
        was_dead, self._disk.is_dead = self._disk.is_dead, True
        for _, file in [*self._bench.service._files.items()]:
            with suppress(apsw.Error):
                file.connection.close(True)
        self._disk.is_dead = was_dead

    def restart(self) -> None:
        """Begin again on what is there."""
        self._disk.mend()
        self._bench = WriterBench(self._folder)

    def cut_power(self, survival: Survival, random: Random) -> None:
        """Cut the power and begin again."""
        self._disk.cut_power(survival, random)
        self.kill()
        self.restart()

    def check(self) -> None:
        """Compare what is there with what callers were told."""
        rows = self._bench.rows("SELECT number, count(*) FROM item GROUP BY number")
        there = {number for number, _ in rows}
        assert self.acknowledged <= there, f"acknowledged and lost: {sorted(self.acknowledged - there)}"
        assert there <= self.acknowledged | self.unknown, "there is what was refused"
        assert {number for number, count in rows if count != self._parts[number]} == set(), "half a request"
        assert self._bench.rows("PRAGMA integrity_check") == ["ok"]
        assert self.write(1) == ["written"], "it does not write any more"

    def close(self) -> None:
        self._bench.close()

    def _number(self, parts_count: int) -> int:
        number = len(self._parts)
        self._parts[number] = parts_count
        return number

    def _settle(self, numbers: Iterable[int], outcomes: list[Any]) -> list[str]:
        told = []
        for number, outcome in zip(numbers, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                self.acknowledged.add(number)
                told.append("written")
                continue
            assert isinstance(outcome, StorageError), outcome
            if isinstance(outcome, WriteOutcomeUnknown):
                self.unknown.add(number)
            told.append(type(outcome).__name__)
        return told


def failing(error: apsw.Error, kind: str, file: str, *, after: int = 0) -> Any:
    """Return what makes each operation of a kind on a file fail, behind the first `after` of them."""
    seen = 0

    def ask(operation: Operation) -> None:
        nonlocal seen
        if (operation.kind, operation.file) == (kind, file):
            seen += 1
            if seen > after:
                raise error

    return ask
