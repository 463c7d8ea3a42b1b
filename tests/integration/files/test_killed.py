"""A worker that is killed at any look of its task leaves nothing half done that a reader could take for whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from workers.methods import Task
from workers.services.compression.limits import OutputLimits
from workers.services.compression.stored import compress_file, decompress_file
from workers.services.files.merging import merge_file
from workers.services.files.splitting import MANIFEST_NAME, split_file

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 100_000
SIZE = 10 * CHUNK
CHILD = """
import os, signal, sys
from tests.support.file_tasks import MeddlingTask
from workers.services.compression.stored import compress_file
from workers.services.files.merging import merge_file
from workers.services.files.splitting import split_file

root, what, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
task = MeddlingTask(lambda: os.kill(os.getpid(), signal.SIGKILL), at=at)
if what == "split":
    split_file(root, "file", "parts", chunk_bytes=100_000, algorithm="blake3", task=task)
elif what == "merge":
    merge_file(root, "parts", "again", task=task)
else:
    compress_file(root, "file", "file.zst", codec="zstd", level=None, overwrite=True, task=task)
"""


def killed(root: Path, what: str, at: int) -> None:
    done = subprocess.run([sys.executable, "-c", CHILD, str(root), what, str(at)], check=False, timeout=50)  # noqa: S603 - our own code
    assert done.returncode == -signal.SIGKILL


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    made = random.Random(1).randbytes(SIZE)  # noqa: S311 - the same bytes each time
    (tmp_path / "file").write_bytes(made)
    return made


def test_a_killed_split_goes_on_and_a_killed_merge_too(tmp_path: Path, data: bytes) -> None:
    for at in (2, 9, 14):
        killed(tmp_path, "split", at)
        assert not (tmp_path / "parts" / MANIFEST_NAME).exists()
    _, written = split_file(
        str(tmp_path), "file", "parts", chunk_bytes=CHUNK, algorithm="blake3", task=Task()
    )
    assert 0 < written < 10
    for at in (1, 6, 13):
        killed(tmp_path, "merge", at)
        assert not (tmp_path / "again").exists()
    _, kept = merge_file(str(tmp_path), "parts", "again", task=Task())
    assert kept >= 5
    assert (tmp_path / "again").read_bytes() == data
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again", "file", "parts"]


def test_a_killed_compression_leaves_the_target_as_it_was(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file.zst").write_bytes(b"before")
    killed(tmp_path, "compress", 3)
    assert (tmp_path / "file.zst").read_bytes() == b"before"
    compress_file(str(tmp_path), "file", "file.zst", codec="zstd", level=None, overwrite=True, task=Task())
    limits = OutputLimits()
    decompress_file(
        str(tmp_path), "file.zst", "again", codec="zstd", limits=limits, overwrite=False, task=Task()
    )
    assert (tmp_path / "again").read_bytes() == data
    assert sorted(each.name for each in tmp_path.iterdir()) == ["again", "file", "file.zst"]
