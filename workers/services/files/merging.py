"""Put the chunks of a file together again, and believe nothing: each chunk's length and sum, their order, the whole.

The file grows beside its place and gets its name when all of it was verified and is on disk. A merge that was
stopped goes on after the last whole chunk that verifies. A broken set is refused before a byte is written, as far as
names and sizes show it; a damaged chunk is named when its turn comes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from workers.services.files.errors import FileChanged, FileExists, FileMissing, FileUnreadable, translated
from workers.services.files.hashing import digest, sum_of
from workers.services.files.manifests import accept, chunk_name, index_of, refused
from workers.services.files.reading import Source
from workers.services.files.roots import folder, opened_in, parent
from workers.services.files.splitting import read_manifest
from workers.services.files.writing import continued, put, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.methods import Task
    from workers.services.files.hashing import Digest
    from workers.services.files.manifests import Manifest


def merge_file(
    root: str, chunks: str, target: str, *, overwrite: bool = False, task: Task
) -> tuple[Manifest, int]:
    """Merge the folder `chunks`, as `split_file` left it, into the file `target`; both are below `root`.

    Returns the manifest and how many chunks were there already from a merge that was stopped (or ended: where the
    very same file is at `target`, it stays). The file is on disk when this returns; after an error nothing is at
    `target` that was not there before.

    Raises:
        ChunkRefused: A chunk is missing, doubled, misplaced, damaged, or one too many.
        FileMissing: There is no manifest.
        FileUnreadable: The manifest is damaged.
        FileExists: Another file is at `target`, and `overwrite` is off.
        FileBusy: Another merge writes it.
    """
    with folder(root, chunks) as place, parent(root, target, create=True) as (home, name):
        manifest = read_manifest(place, chunks)
        _check_names(place, manifest, chunks)
        if not overwrite and _is_there(home, name):
            if _digest_of(home, name, target, manifest, task) != manifest.digest:
                raise FileExists(f"{target!r} exists already, and is another file", path=target)
            return manifest, len(manifest.chunks)
        with continued(home, name, target) as (fd, temporary):
            whole = digest(manifest.algorithm)
            kept = _kept_count(Source(fd, target, task), manifest, whole)
            done = min(kept * manifest.chunk_bytes, manifest.size_bytes)
            with translated(target):
                os.ftruncate(fd, done)
                os.lseek(fd, 0, os.SEEK_END)
            task.progress(done, manifest.size_bytes)
            for index in range(kept, len(manifest.chunks)):
                for block in _verified(place, f"{chunks}/{chunk_name(index)}", index, manifest, task):
                    whole.update(block)
                    write_whole(fd, block, target)
                    done += len(block)
                    task.progress(done, manifest.size_bytes)
            if whole.hexdigest() != manifest.digest:
                raise FileUnreadable("the manifest's chunks don't make the file it names", path=chunks)
            put(home, temporary, fd, name, target, durable=True, overwrite=overwrite)
    return manifest, kept


def _check_names(place: int, manifest: Manifest, chunks: str) -> None:
    with translated(chunks):
        found = {index for index in map(index_of, os.listdir(place)) if index is not None}
    expected = set(range(len(manifest.chunks)))
    if missing := expected - found:
        raise refused(min(missing), "missing", f"chunk {min(missing)} is missing")
    if extra := found - expected:
        raise refused(min(extra), "unexpected", f"chunk {min(extra)} is one too many")


def _is_there(home: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=home, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _digest_of(home: int, name: str, target: str, manifest: Manifest, task: Task) -> str | None:
    """Return the sum of the file at the target; None when it has another size."""
    fd = opened_in(home, name, target)
    try:
        if os.fstat(fd).st_size != manifest.size_bytes:
            return None
        return sum_of(Source(fd, target, task), manifest.algorithm, manifest.size_bytes)
    finally:
        os.close(fd)


def _kept_count(unfinished: Source, manifest: Manifest, whole: Digest) -> int:
    """Return how many chunks an earlier merge left that still verify, and feed them to `whole`."""
    size = os.fstat(unfinished.fd).st_size
    for index, expected in enumerate(manifest.chunks):
        start = index * manifest.chunk_bytes
        end = start + manifest.length_of(index)
        if end > size or sum_of(unfinished, manifest.algorithm, end, start=start) != expected:
            return index
        for block in unfinished.blocks(end, start=start):
            whole.update(block)
    return len(manifest.chunks)


def _verified(place: int, path: str, index: int, manifest: Manifest, task: Task) -> Iterator[memoryview]:
    """Yield a chunk's blocks, then say whether they were the right ones.

    What is judged is what was yielded, whatever happens to the file meanwhile.

    Raises:
        ChunkRefused: They were not; they are to be thrown away.
    """
    try:
        fd = opened_in(place, path.rpartition("/")[2], path)
    except FileMissing as error:
        raise refused(index, "missing", f"chunk {index} is missing") from error
    try:
        length = os.fstat(fd).st_size
        if length > manifest.length_of(index):
            raise refused(index, "damaged", f"chunk {index} is too long: {length} bytes")
        part = digest(manifest.algorithm)
        for block in Source(fd, path, task).blocks(length):
            part.update(block)
            yield block
        accept(manifest, index, length=length, digest=part.hexdigest())
    except FileChanged as error:
        raise refused(index, "damaged", f"chunk {index} became shorter while it was read") from error
    finally:
        os.close(fd)
