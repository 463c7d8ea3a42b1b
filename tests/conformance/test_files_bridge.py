"""The file bridge gives the same answers and errors in every kind of worker."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support import sample_files
from tests.support.loops import ASYNCIO, on
from workers import BridgeSettings, InvalidParameters, Kind, TaskTimedOut, open_bridges
from workers.services.files.errors import ChunkRefused, FileExists, FileMissing, PathRefused
from workers.services.files.manifests import MIN_CHUNK_BYTES, chunk_name
from workers.services.files.service import HashedFile, MergedFile
from workers.services.files.types import FileType, ImageFacts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from workers.bridges.files import FilesBridge


anyio_backend = on(ASYNCIO)  # what brings a request to its worker is tried on both in `test_bridges`


@pytest.fixture(autouse=True)
async def no_wait_without_end() -> AsyncIterator[None]:
    with anyio.fail_after(30):
        yield


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="module")
async def files(kind: Kind) -> AsyncIterator[FilesBridge]:
    async with open_bridges(BridgeSettings(kind=kind)) as bridges:
        yield bridges.files


async def test_a_file_is_hashed_with_several_algorithms(files: FilesBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(b"abc")
    assert await files.hash("a", root=tmp_path, algorithms=["sha256", "md5"]) == HashedFile(
        path="a",
        size_bytes=3,
        digests={"sha256": hashlib.sha256(b"abc").hexdigest(), "md5": "900150983cd24fb0d6963f7d28e17f72"},
    )


async def test_of_many_files_each_has_its_sum_or_its_reason(files: FilesBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(b"abc")
    await anyio.Path(tmp_path / "link").symlink_to("a")
    hashed = await files.hash_many(["a", "none", "link", "../a"], root=tmp_path, algorithms=["blake3"])
    assert [each.path for each in hashed] == ["a", "none", "link", "../a"]
    assert [each.refused is None for each in hashed] == [True, False, False, False]
    assert hashed[0].digests["blake3"].startswith("6437b3ac38465133")
    assert str(tmp_path) not in str(hashed)


async def test_progress_is_told_in_bytes_of_a_file_and_in_the_number_of_many(
    tmp_path: Path, kind: Kind
) -> None:
    names = [f"{number}" for number in range(30)]
    for name in names:
        await anyio.Path(tmp_path / name).write_bytes(bytes(1_000_000))
    told: list[tuple[int, int | None, str]] = []
    for call, expected in (("one", (1_000_000, 1_000_000, "")), ("many", (30, 30, "files"))):
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:  # a worker that told nothing yet
            if call == "one":
                await bridges.files.hash("0", root=tmp_path, on_progress=lambda *each: told.append(each))
            else:
                await bridges.files.hash_many(
                    names, root=tmp_path, on_progress=lambda *each: told.append(each)
                )
        assert told[-1] == expected
        assert {(total, note) for _, total, note in told} == {expected[1:]}
        told.clear()


async def test_a_file_is_split_and_merged(files: FilesBridge, tmp_path: Path) -> None:
    data = os.urandom(MIN_CHUNK_BYTES * 2 + 5)
    await anyio.Path(tmp_path / "a").write_bytes(data)
    made = await files.split("a", "parts", root=tmp_path, chunk_bytes=MIN_CHUNK_BYTES)
    assert (len(made.manifest.chunks), made.written_count) == (3, 3)
    merged = await files.merge("parts", "b", root=tmp_path)
    assert merged == MergedFile(
        size_bytes=len(data), digest=made.manifest.digest, chunks_count=3, kept_count=0
    )
    assert await anyio.Path(tmp_path / "b").read_bytes() == data
    await anyio.Path(tmp_path / "c").write_bytes(b"mine")
    with pytest.raises(FileExists):
        await files.merge("parts", "c", root=tmp_path)
    await anyio.Path(tmp_path / "parts" / chunk_name(1)).unlink()
    with pytest.raises(ChunkRefused) as caught:
        await files.merge("parts", "d", root=tmp_path)
    assert caught.value.details == {"index": 1, "reason": "missing", "found": None}
    assert str(tmp_path) not in str(caught.value)


async def test_a_chunk_has_1_to_16_mib(files: FilesBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(b"abc")
    for size in (0, 1000, MIN_CHUNK_BYTES - 1, 16 * MIN_CHUNK_BYTES + 1):
        with pytest.raises(InvalidParameters):
            await files.split("a", "parts", root=tmp_path, chunk_bytes=size)


async def test_a_file_is_known_by_its_content(files: FilesBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a.txt").write_bytes(sample_files.picture("PNG"))
    assert await files.detect("a.txt", root=tmp_path) == FileType(mime="image/png")
    found = await files.metadata("a.txt", root=tmp_path)
    assert found.type == FileType(mime="image/png")
    assert isinstance(found.facts, ImageFacts)
    assert (found.facts.width, found.facts.height) == (31, 17)


async def test_a_path_out_of_the_root_is_refused_in_every_method(files: FilesBridge, tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "root").mkdir()
    await anyio.Path(tmp_path / "secret").write_bytes(b"abc")
    root: Any = {"root": tmp_path / "root"}
    for attempt in (
        lambda: files.hash("../secret", **root),
        lambda: files.split("../secret", "parts", **root),
        lambda: files.split("a", "../parts", **root),
        lambda: files.merge("../secret", "a", **root),
        lambda: files.detect("../secret", **root),
        lambda: files.metadata("/etc/passwd", **root),
    ):
        with pytest.raises((PathRefused, FileMissing)) as caught:
            await attempt()
        assert str(tmp_path) not in str(caught.value)


async def test_a_root_is_absolute(files: FilesBridge) -> None:
    for root in ("root", "", "./root"):
        with pytest.raises(ValueError, match="absolute"):
            await files.hash("a", root=root)


async def test_parsers_of_foreign_files_run_in_a_process_of_their_own(tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "a").write_bytes(sample_files.picture("PNG"))
    modules = set(sys.modules)
    async with open_bridges() as bridges:
        await bridges.files.hash("a", root=tmp_path)
        await bridges.files.metadata("a", root=tmp_path)
        assert sorted(pool.kind for pool in bridges.files.stats().pools) == ["process", "thread"]
    assert not any(name.startswith("workers.services.files.pdfs") for name in set(sys.modules) - modules)


async def test_a_hash_that_takes_too_long_is_ended(tmp_path: Path, kind: Kind) -> None:
    async with await anyio.open_file(tmp_path / "a", "wb") as file:
        await file.truncate(4 * 1024**3)  # holds nothing
    async with open_bridges(BridgeSettings(kind=kind, redo_in_process=False, cancel_grace_s=10.0)) as bridges:
        with pytest.raises(TaskTimedOut):
            await bridges.files.hash("a", root=tmp_path, algorithms=["sha512"], timeout_s=0.3)
        await anyio.Path(tmp_path / "b").write_bytes(b"abc")
        assert (await bridges.files.hash("b", root=tmp_path)).size_bytes == 3
