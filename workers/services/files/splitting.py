"""Split a file into chunks, each a file of its own, with a manifest of their sums.

Chunks that are there already and right are left alone, so a split that was stopped goes on where it was. The
manifest comes last: where it is, all chunks are. Nothing is forced to disk: what a power failure tears, a merge
finds and names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from workers.services.files.errors import FileChanged, FileMissing, FileUnreadable, PathRefused
from workers.services.files.hashing import digest, sum_of
from workers.services.files.manifests import MAX_CHUNKS_COUNT, Manifest, chunk_name, chunks_count
from workers.services.files.reading import Source
from workers.services.files.roots import folder, opened, opened_in
from workers.services.files.writing import forget, fresh, write_whole

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.hashing import StrongAlgorithm

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 1024 * 1024


def split_file(
    root: str, path: str, into: str, *, chunk_bytes: int, algorithm: StrongAlgorithm, task: Task
) -> tuple[Manifest, int]:
    """Split the file at `path` into the folder `into` (made if need be); both are below `root`.

    Returns the manifest and how many chunks had to be written.

    Raises:
        FileChanged: The file was written to meanwhile; the folder holds no manifest then.
        FileUnreadable: It would make more than `MAX_CHUNKS_COUNT` chunks.
        PathRefused, FileMissing, FileError: As `opened` says.
    """
    with folder(root, into, create=True) as place:
        with opened(root, path) as fd:
            source = Source(fd, path, task)
            with source.unchanged() as size:
                if chunks_count(size, chunk_bytes) > MAX_CHUNKS_COUNT:
                    raise FileUnreadable(f"{path!r} has too many chunks of {chunk_bytes} bytes", path=path)
                forget(place, MANIFEST_NAME, into)
                whole, sums, written_count = digest(algorithm), [], 0
                for index, start in enumerate(range(0, size, chunk_bytes)):
                    end = min(start + chunk_bytes, size)
                    part = digest(algorithm)
                    for block in source.blocks(end, start=start):
                        whole.update(block)
                        part.update(block)
                    sums.append(part.hexdigest())
                    chunk = f"{into}/{chunk_name(index)}"
                    if _sum_there(place, chunk, end - start, algorithm, task) != sums[-1]:
                        with fresh(place, chunk_name(index), chunk, durable=False) as target:
                            for block in source.blocks(end, start=start):
                                write_whole(target, block, chunk)
                        written_count += 1
                    task.progress(end, size)
        manifest = Manifest(
            size_bytes=size,
            chunk_bytes=chunk_bytes,
            algorithm=algorithm,
            chunks=tuple(sums),
            digest=whole.hexdigest(),
        )
        with fresh(place, MANIFEST_NAME, into, durable=False) as target:
            write_whole(target, msgspec.json.encode(manifest), into)
    return manifest, written_count


def read_manifest(place: int, into: str) -> Manifest:
    """Return the manifest in the open folder `place`, which the caller calls `into`.

    Raises:
        FileMissing: There is none: the split did not end.
        FileUnreadable: It is damaged.
    """
    fd = opened_in(place, MANIFEST_NAME, f"{into}/{MANIFEST_NAME}")
    with os.fdopen(fd, "rb") as file:
        text = file.read(MAX_MANIFEST_BYTES + 1)
    if len(text) > MAX_MANIFEST_BYTES:
        raise FileUnreadable(f"the manifest in {into!r} is too large", path=into)
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"the manifest in {into!r} is damaged", path=into) from error
    manifest.check()
    return manifest


def _sum_there(place: int, path: str, length: int, algorithm: str, task: Task) -> str | None:
    """Return the sum of the chunk file `path`; None when there is none of that length."""
    try:
        fd = opened_in(place, path.rpartition("/")[2], path)
    except (FileMissing, PathRefused):
        return None
    try:
        if os.fstat(fd).st_size != length:
            return None
        return sum_of(Source(fd, path, task), algorithm, length)
    except FileChanged:
        return None
    finally:
        os.close(fd)
