"""Split and merged, a file is the same; of a set with anything wrong nothing is made, and the chunk is named."""

from __future__ import annotations

import fcntl
import os
import random
import resource
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.file_tasks import MeddlingTask, RecordingTask
from workers.errors import TaskCancelled
from workers.methods import Task
from workers.services.files.errors import (
    ChunkRefused,
    FileBusy,
    FileChanged,
    FileError,
    FileExists,
    FileMissing,
    FileUnreadable,
    PathRefused,
)
from workers.services.files.manifests import MAX_CHUNKS_COUNT, chunk_name
from workers.services.files.merging import merge_file
from workers.services.files.splitting import MANIFEST_NAME, split_file

if TYPE_CHECKING:
    from workers.services.files.manifests import Manifest

CHUNK = 1000


def split(root: Path, task: Task | None = None, *, chunk_bytes: int = CHUNK) -> tuple[Manifest, int]:
    return split_file(
        str(root), "file", "parts", chunk_bytes=chunk_bytes, algorithm="blake3", task=task or Task()
    )


def merge(root: Path, task: Task | None = None, *, overwrite: bool = False) -> int:
    return merge_file(str(root), "parts", "out/file", overwrite=overwrite, task=task or Task())[1]


def filled(root: Path, size: int) -> bytes:
    data = random.Random(size).randbytes(size)  # noqa: S311 - the same bytes each time
    (root / "file").write_bytes(data)
    return data


@settings(max_examples=60, deadline=None)
@given(size=st.integers(0, 6000), chunk=st.integers(1, 7000))
def test_split_and_merged_a_file_of_any_size_is_the_same(size: int, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = filled(root, size)
        if size > chunk * 300:
            chunk = 20  # a thousand files show no more than these
        manifest, written = split(root, chunk_bytes=chunk)
        assert written == len(manifest.chunks) == -(-size // chunk)
        merge(root)
        assert (root / "out" / "file").read_bytes() == data
        assert sorted(each.name for each in root.iterdir()) == ["file", "out", "parts"]
        assert [each.name for each in (root / "out").iterdir()] == ["file"]


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    filled(tmp_path, 2500)
    tasks = RecordingTask(), RecordingTask()
    split(tmp_path, tasks[0])
    merge(tmp_path, tasks[1])
    assert tasks[0].seen == [(1000, 2500), (2000, 2500), (2500, 2500)]
    assert tasks[1].seen == [(0, 2500), (1000, 2500), (2000, 2500), (2500, 2500)]


# -- going on ---------------------------------------------------------------------------------------------------------


def test_a_split_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    data = filled(tmp_path, 5 * CHUNK)
    with pytest.raises(TaskCancelled):
        split(tmp_path, MeddlingTask(at=6))
    there = {each.name for each in (tmp_path / "parts").iterdir()}
    assert MANIFEST_NAME not in there
    assert 0 < len(there) < 5
    assert split(tmp_path)[1] == 5 - len(there)
    assert split(tmp_path)[1] == 0
    merge(tmp_path)
    assert (tmp_path / "out" / "file").read_bytes() == data


def test_a_split_mends_what_is_damaged(tmp_path: Path) -> None:
    filled(tmp_path, 4 * CHUNK)
    split(tmp_path)
    (tmp_path / "parts" / chunk_name(1)).write_bytes(b"x" * CHUNK)
    (tmp_path / "parts" / chunk_name(2)).write_bytes(b"short")
    (tmp_path / "parts" / chunk_name(3)).unlink()
    (tmp_path / "parts" / chunk_name(3)).symlink_to("../file")
    assert split(tmp_path)[1] == 3
    assert merge(tmp_path) == 0


def test_a_merge_that_was_stopped_goes_on_after_the_last_chunk_that_verifies(tmp_path: Path) -> None:
    data = filled(tmp_path, 5 * CHUNK)
    split(tmp_path)
    with pytest.raises(TaskCancelled):
        merge(tmp_path, MeddlingTask(at=3))
    assert not (tmp_path / "out" / "file").exists()
    unfinished = tmp_path / "out" / ".file.part"
    assert unfinished.stat().st_size == 3 * CHUNK
    with unfinished.open("r+b") as file:
        file.seek(CHUNK + 5)
        file.write(b"torn")
    assert merge(tmp_path) == 1
    assert (tmp_path / "out" / "file").read_bytes() == data
    assert not unfinished.exists()


def test_a_merge_that_had_ended_already_is_no_error(tmp_path: Path) -> None:
    filled(tmp_path, 3 * CHUNK)
    split(tmp_path)
    assert merge(tmp_path) == 0
    assert merge(tmp_path) == 3


# -- what is wrong is named -------------------------------------------------------------------------------------------


def refusal(root: Path) -> tuple[int, str]:
    """Return which chunk a merge refuses and why, and see that it left nothing at the target."""
    with pytest.raises(ChunkRefused) as caught:
        merge(root)
    assert not (root / "out" / "file").exists()
    assert str(caught.value).startswith(f"chunk {caught.value.details['index']} ")
    return caught.value.details["index"], caught.value.details["reason"]


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    filled(tmp_path, 4 * CHUNK + 10)
    split(tmp_path)
    return tmp_path / "parts"


@pytest.mark.parametrize("index", range(5))
def test_a_missing_chunk_is_named(tmp_path: Path, parts: Path, index: int) -> None:
    (parts / chunk_name(index)).unlink()
    assert refusal(tmp_path) == (index, "missing")


def test_a_chunk_that_goes_missing_during_the_merge_is_named(tmp_path: Path, parts: Path) -> None:
    with pytest.raises(ChunkRefused) as caught:
        merge(tmp_path, MeddlingTask((parts / chunk_name(3)).unlink))
    assert caught.value.details == {"index": 3, "reason": "missing", "found": None}


@pytest.mark.parametrize("index", range(5))
def test_a_chunk_with_one_other_bit_is_named(tmp_path: Path, parts: Path, index: int) -> None:
    chunk = parts / chunk_name(index)
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    assert refusal(tmp_path) == (index, "damaged")


@pytest.mark.parametrize("size", [0, CHUNK - 1, CHUNK + 1])
def test_a_chunk_of_another_size_is_named(tmp_path: Path, parts: Path, size: int) -> None:
    os.truncate(parts / chunk_name(2), size)
    assert refusal(tmp_path) == (2, "damaged")


def test_a_chunk_that_shrinks_while_it_is_read_is_named(tmp_path: Path, parts: Path) -> None:
    with pytest.raises(ChunkRefused) as caught:
        merge(tmp_path, MeddlingTask(lambda: os.truncate(parts / chunk_name(0), 0)))
    assert caught.value.details["index"] == 0


def test_swapped_chunks_are_named(tmp_path: Path, parts: Path) -> None:
    (parts / chunk_name(1)).rename(parts / "kept")
    (parts / chunk_name(3)).rename(parts / chunk_name(1))
    (parts / "kept").rename(parts / chunk_name(3))
    assert refusal(tmp_path) == (1, "misplaced")


def test_a_chunk_that_is_there_twice_is_named(tmp_path: Path, parts: Path) -> None:
    shutil.copy(parts / chunk_name(1), parts / chunk_name(2))
    assert refusal(tmp_path) == (2, "doubled")


def test_a_chunk_too_many_is_named(tmp_path: Path, parts: Path) -> None:
    shutil.copy(parts / chunk_name(4), parts / chunk_name(5))
    assert refusal(tmp_path) == (5, "unexpected")


def test_a_chunk_behind_a_link_is_refused(tmp_path: Path, parts: Path) -> None:
    (parts / chunk_name(2)).rename(tmp_path / "elsewhere")
    (parts / chunk_name(2)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathRefused):
        merge(tmp_path)


def test_without_its_manifest_a_set_is_not_whole(tmp_path: Path, parts: Path) -> None:
    (parts / MANIFEST_NAME).unlink()
    with pytest.raises(FileMissing):
        merge(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[" * 10_000, b"\xff", b"null", b'{"size_bytes":-1}',
        b'{"size_bytes":1,"chunk_bytes":1,"algorithm":"md5","chunks":[],"digest":""}',
        b'{"size_bytes":1,"chunk_bytes":1,"algorithm":"blake3","chunks":[],"digest":"00"}',
        b'{"size_bytes":9,"chunk_bytes":99999999,"algorithm":"blake3","chunks":[],"digest":"00"}',
        b" " * (17 * 1024 * 1024),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_manifest_is_one_clear_error(tmp_path: Path, parts: Path, text: bytes) -> None:
    (parts / MANIFEST_NAME).write_bytes(text)
    with pytest.raises(FileUnreadable):
        merge(tmp_path)


def test_a_manifest_whose_whole_is_another_file_makes_none(tmp_path: Path, parts: Path) -> None:
    text = (parts / MANIFEST_NAME).read_text()
    at = text.index('"digest":"') + len('"digest":"')
    (parts / MANIFEST_NAME).write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
    with pytest.raises(FileUnreadable):
        merge(tmp_path)
    assert not (tmp_path / "out" / "file").exists()


# -- other files in the way -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("parts")
def test_a_file_at_the_target_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out" / "file"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(FileExists):
        merge(tmp_path)
    assert target.read_bytes() == b"mine"
    merge(tmp_path, overwrite=True)
    assert target.read_bytes() == (tmp_path / "file").read_bytes()


@pytest.mark.usefixtures("parts")
def test_a_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    target, precious = tmp_path / "out" / "file", tmp_path / "precious"
    target.parent.mkdir()
    precious.write_bytes(b"precious")
    target.symlink_to(precious)
    with pytest.raises((FileExists, PathRefused)):
        merge(tmp_path)
    merge(tmp_path, overwrite=True)
    assert not target.is_symlink()
    assert precious.read_bytes() == b"precious"


@pytest.mark.usefixtures("parts")
def test_a_file_that_comes_to_the_target_during_the_merge_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out" / "file"
    with pytest.raises(FileExists):
        merge(tmp_path, MeddlingTask(lambda: target.write_bytes(b"mine")))
    assert target.read_bytes() == b"mine"


@pytest.mark.usefixtures("parts")
def test_two_merges_to_one_target_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".file.part").open("wb") as rival:
        fcntl.flock(rival, fcntl.LOCK_EX)
        with pytest.raises(FileBusy):
            merge(tmp_path)
    merge(tmp_path)


@pytest.mark.parametrize("how", ["symlink", "hardlink"])
@pytest.mark.usefixtures("parts")
def test_an_unfinished_file_that_is_another_file_is_not_written_to(tmp_path: Path, how: str) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    unfinished = tmp_path / "out" / ".file.part"
    if how == "symlink":
        unfinished.symlink_to("../precious")
    else:
        unfinished.hardlink_to(tmp_path / "precious")
    with pytest.raises(PathRefused):
        merge(tmp_path)
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_source_that_changes_while_it_is_split_makes_no_manifest(tmp_path: Path) -> None:
    filled(tmp_path, 4 * CHUNK)
    os.utime(tmp_path / "file", (1_000_000_000, 1_000_000_000))
    with pytest.raises(FileChanged):
        split(tmp_path, MeddlingTask(lambda: os.truncate(tmp_path / "file", 5 * CHUNK), at=3))
    assert not (tmp_path / "parts" / MANIFEST_NAME).exists()


def test_a_new_split_forgets_the_manifest_of_the_old_one_first(tmp_path: Path, parts: Path) -> None:
    with pytest.raises(TaskCancelled):
        split(tmp_path, MeddlingTask())
    assert not (parts / MANIFEST_NAME).exists()


def test_a_file_of_too_many_chunks_is_refused_before_one_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(MAX_CHUNKS_COUNT + 1))
    with pytest.raises(FileUnreadable):
        split(tmp_path, chunk_bytes=1)
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.usefixtures("parts")
def test_a_full_disk_is_told_and_leaves_nothing_at_the_target(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * CHUNK, before[1]))
    try:
        with pytest.raises(FileError, match="too large"):
            merge(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "out" / "file").exists()
    assert merge(tmp_path) == 2
