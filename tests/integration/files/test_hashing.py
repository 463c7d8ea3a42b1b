"""Sums of files: right, in one reading, and of a file that held still."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import blake3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.file_tasks import MeddlingTask, RecordingTask
from workers.errors import TaskCancelled
from workers.methods import Task
from workers.services.files.errors import FileChanged
from workers.services.files.hashing import DIGEST_BYTES, digest, hash_file
from workers.services.files.reading import BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = tuple(DIGEST_BYTES)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.sampled_from([0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7]))
def test_all_sums_of_one_reading_are_those_of_the_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    found, digests = hash_file(str(tmp_path), "file", ALL, Task())
    assert found == size
    expected = {name: hashlib.new(name, data).hexdigest() for name in ALL if name != "blake3"}
    assert digests == {**expected, "blake3": blake3.blake3(data).hexdigest()}
    assert {name: len(each) // 2 for name, each in digests.items()} == DIGEST_BYTES


def test_an_unknown_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="crc32"):
        digest("crc32")


def test_progress_is_told_block_by_block_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(2 * BLOCK_BYTES + 5))
    task = RecordingTask()
    hash_file(str(tmp_path), "file", ["sha256"], task)
    total = 2 * BLOCK_BYTES + 5
    assert task.seen == [(BLOCK_BYTES, total), (2 * BLOCK_BYTES, total), (total, total)]


def test_a_cancelled_task_stops_within_a_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(5 * BLOCK_BYTES))
    with pytest.raises(TaskCancelled):
        hash_file(str(tmp_path), "file", ["sha256"], MeddlingTask(at=2))
    task = RecordingTask()
    task.stop()
    with pytest.raises(TaskCancelled):
        hash_file(str(tmp_path), "file", ["sha256"], task)
    assert task.seen == []


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _overwrite(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # the change time still tells


def _truncate(path: Path) -> None:
    os.truncate(path, BLOCK_BYTES)


def _replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(bytes(3 * BLOCK_BYTES))
    new.rename(path)


@pytest.mark.parametrize(
    "meddle", [_append, _overwrite, _truncate, _replace], ids=["append", "overwrite", "truncate", "replace"]
)
@pytest.mark.parametrize("at", [1, 3])
def test_a_file_that_changes_while_it_is_hashed_is_reported_as_such(
    tmp_path: Path, meddle: Callable[[Path], None], at: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * BLOCK_BYTES))
    os.utime(path, (1_000_000_000, 1_000_000_000))  # written long ago: its clock has moved on since
    with pytest.raises(FileChanged):
        hash_file(str(tmp_path), "file", ["sha256"], MeddlingTask(lambda: meddle(path), at=at))
