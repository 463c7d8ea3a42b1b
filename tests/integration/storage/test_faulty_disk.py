"""What a failing disk costs: never a write that was acknowledged, and nothing that a restart does not mend."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from typing_extensions import override

from storage import DatabaseCorrupt, StorageError
from tests.support.faulty_disk import FaultyDisk, Operation, faulty_disk
from tests.support.power_cuts import Ledger, failing
from tests.support.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faulty_disk import Survival


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as disk:
        yield disk


@pytest.fixture
def ledger(tmp_path: Path, disk: FaultyDisk) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, disk)
    assert ledger.write(1, 2, 2) == ["written"] * 3
    yield ledger
    disk.heal()
    ledger.close()


EIO, FULL = apsw.IOError("a bad block"), apsw.FullError("no space")

FAULTS = {
    # what fails: the operation, and what the callers of a batch of two writes are told; all mend themselves
    "writing the log": (failing(EIO, "write", "-wal"), ["WriteOutcomeUnknown", "WriteOutcomeUnknown"]),
    "no space for the log": (failing(FULL, "write", "-wal"), ["StorageFull", "StorageFull"]),
    "the third write to the log": (
        failing(EIO, "write", "-wal", after=2),
        ["WriteOutcomeUnknown", "WriteOutcomeUnknown"],
    ),
    "syncing the log": (failing(EIO, "sync", "-wal"), ["WriteOutcomeUnknown", "WriteOutcomeUnknown"]),
    "writing the database": (failing(EIO, "write", ""), ["written", "written"]),
    "no space in the database": (failing(FULL, "write", ""), ["written", "written"]),
    "syncing the database": (failing(EIO, "sync", ""), ["written", "written"]),
    "opening the database": (failing(EIO, "open", ""), ["written", "written"]),
    "reading the log": (failing(EIO, "read", "-wal"), ["written", "written"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_on_the_disk_is_told_to_who_it_hits_and_mends_itself(
    ledger: Ledger, disk: FaultyDisk, fault: str
) -> None:
    disk.on_operation, expected = FAULTS[fault]
    told = ledger.write(1, 2)
    ledger.checkpoint()
    disk.heal()
    assert told == expected
    ledger.check()
    assert ledger.checkpoint() is True
    ledger.check()


READS: dict[str, tuple[Any, list[str]]] = {
    "reading the database": (failing(EIO, "read", ""), ["StorageError", "DatabaseCorrupt"]),
    "opening the database": (failing(EIO, "open", ""), ["StorageError", "DatabaseNotFound"]),
    "opening the log": (failing(EIO, "open", "-wal"), ["StorageError", "DatabaseNotFound"]),
}


@pytest.mark.parametrize("fault", READS)
def test_a_reader_is_told_that_the_disk_failed_and_reads_when_it_does_not(
    ledger: Ledger, disk: FaultyDisk, tmp_path: Path, fault: str
) -> None:
    ledger.checkpoint()
    reading = Reading(tmp_path / "shop.db")
    disk.on_operation, expected = READS[fault]
    with pytest.raises(StorageError) as caught:
        reading.rows("SELECT sum(number) FROM item")
    assert type(caught.value).__name__ in expected
    assert str(tmp_path) not in str(caught.value)
    disk.heal()
    assert reading.rows("SELECT sum(number) FROM item") == [(0 + 2 * 1 + 2 * 2,)]
    reading.service.close()


def test_a_page_that_can_not_be_read_is_told_as_damage_and_read_again_later(
    ledger: Ledger, disk: FaultyDisk, tmp_path: Path
) -> None:
    """A read that falls short by less than a page is beyond SQLite: it takes what is missing for zeros."""
    ledger.checkpoint()
    reading = Reading(tmp_path / "shop.db")
    disk.short_read_bytes = 4_096
    with pytest.raises(DatabaseCorrupt):
        reading.rows("SELECT sum(number) FROM item")
    disk.heal()
    assert reading.rows("SELECT count(*) FROM item") == [(5,)]
    reading.service.close()


def test_a_writer_that_misread_a_page_reads_it_again(ledger: Ledger, disk: FaultyDisk) -> None:
    ledger.checkpoint()
    ledger.kill()
    ledger.restart()
    disk.short_read_bytes = 4_096
    assert ledger.write(1) == ["DatabaseCorrupt"]
    disk.heal()
    assert ledger.write(1) == ["written"]
    ledger.check()


# -- the power is cut at each operation ------------------------------------------------------------------------------


def work(ledger: Ledger) -> None:
    """Write in all ways, with checkpoints between."""
    for round_number in range(3):
        ledger.write(1, 2, 1)
        ledger.write_twice()
        ledger.fill(9_000)
        if round_number != 1:
            ledger.checkpoint()
        ledger.write(2)


def operations_of_work(ledger: Ledger, disk: FaultyDisk) -> int:
    seen: list[Operation] = []
    disk.on_operation = seen.append
    work(ledger)
    disk.heal()
    return sum(operation.kind in {"write", "truncate", "sync"} for operation in seen)


def cut_at(place: int, disk: FaultyDisk, survival: Survival) -> None:
    """Cut the power at the operation number `place` that changes the disk."""
    left = place

    def ask(operation: Operation) -> None:
        nonlocal left
        if operation.kind in {"write", "truncate", "sync"}:
            if left == 0:
                disk.cut_power(survival, Random(place))  # noqa: S311 - the same each time
                raise apsw.IOError("the power is cut")
            left -= 1

    disk.on_operation = ask


@pytest.mark.parametrize("survival", ["nothing", "all", "some"])
def test_a_power_cut_at_any_operation_costs_no_acknowledged_write(
    tmp_path: Path, disk: FaultyDisk, survival: Survival
) -> None:
    ledger = Ledger(tmp_path, disk)
    count = operations_of_work(ledger, disk)
    assert count > 40
    for place in range(0, count, 1 if survival == "some" else 4):
        cut_at(place, disk, survival)
        work(ledger)
        ledger.kill()
        ledger.restart()
        ledger.check()
    ledger.close()


def test_a_disk_that_lies_about_its_syncs_is_found_out(tmp_path: Path, disk: FaultyDisk) -> None:
    """Nothing helps against one; that it loses writes here shows that the tests beside this one can fail."""
    ledger = Ledger(tmp_path, disk)
    disk.is_lying = True
    work(ledger)
    disk.cut_power("nothing", Random(0))  # noqa: S311 - as above
    ledger.kill()
    ledger.restart()
    with pytest.raises((AssertionError, apsw.Error)):
        ledger.check()


# -- anything in any order -------------------------------------------------------------------------------------------


class Crashes(RuleBasedStateMachine):
    """Random writes, faults, crashes and restarts against what callers were told."""

    folder: Path
    disk: FaultyDisk
    number = 0

    @initialize()
    def begin(self) -> None:
        Crashes.number += 1
        folder = self.folder / str(Crashes.number)
        folder.mkdir()
        self.disk.mend()
        self.ledger = Ledger(folder, self.disk)

    @rule(parts=st.lists(st.integers(1, 3), min_size=1, max_size=4))
    def write(self, parts: list[int]) -> None:
        self.ledger.write(*parts)

    @rule()
    def write_twice(self) -> None:
        self.ledger.write_twice()

    @rule(size_kib=st.integers(1, 64))
    def fill(self, size_kib: int) -> None:
        self.ledger.fill(size_kib * 1024)

    @rule()
    def checkpoint(self) -> None:
        self.ledger.checkpoint()

    @rule(
        error=st.sampled_from([EIO, FULL]),
        kind=st.sampled_from(["read", "write", "sync", "truncate", "open"]),
        file=st.sampled_from(["", "-wal"]),
        after=st.integers(0, 3),
    )
    def begin_to_fail(self, error: apsw.Error, kind: str, file: str, after: int) -> None:
        if kind == "sync":  # no sync says that the disk is full: writes do
            error = EIO
        self.disk.on_operation = failing(error, kind, file, after=after)

    @rule()
    def heal(self) -> None:
        self.disk.heal()

    @rule()
    def kill(self) -> None:
        self.ledger.kill()
        self.ledger.restart()
        self.ledger.check()

    @rule(survival=st.sampled_from(["nothing", "all", "some"]), random=st.randoms(use_true_random=False))
    def cut_power(self, survival: Survival, random: Random) -> None:
        self.ledger.cut_power(survival, random)
        self.ledger.check()

    @rule(place=st.integers(0, 12), survival=st.sampled_from(["nothing", "all", "some"]))
    def cut_power_soon(self, place: int, survival: Survival) -> None:
        cut_at(place, self.disk, survival)
        self.ledger.write(1, 2)
        self.ledger.checkpoint()
        self.ledger.kill()
        self.ledger.restart()
        self.ledger.check()

    @invariant()
    def nothing_acknowledged_is_unknown(self) -> None:
        if hasattr(self, "ledger"):
            assert not self.ledger.acknowledged & self.ledger.unknown

    @override
    def teardown(self) -> None:
        self.disk.mend()
        if hasattr(self, "ledger"):
            self.ledger.check()
            self.ledger.close()


def test_any_mix_of_writes_faults_and_crashes_keeps_what_was_acknowledged(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    Crashes.folder, Crashes.disk = tmp_path, disk
    run_state_machine_as_test(
        Crashes,
        settings=settings(
            max_examples=30, stateful_step_count=20, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


# -- a clock that jumps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_ms", [-3_600_000, 10**12])
def test_a_clock_that_jumps_costs_no_write_and_no_number_of_the_change_log(
    tmp_path: Path, disk: FaultyDisk, jump_ms: int
) -> None:
    ledger = Ledger(tmp_path, disk)
    bench = ledger._bench
    bench.done(bench.call("follow", ["item"], False))
    for ahead_ms in (0, jump_ms, 0, -jump_ms):
        disk.clock_ahead_ms = ahead_ms
        assert ledger.write(1, 1) == ["written", "written"]
    numbers = bench.rows("SELECT seq FROM _changes WHERE op = 'insert' ORDER BY seq")
    assert numbers == list(range(numbers[0], numbers[0] + 8))
    ledger.check()
    ledger.close()
