"""The file bridge: hash, split, merge, detect and describe files inside a folder, off the event loop.

What it is given are names, not bytes, so the size of a file costs nothing on the way. Hashing, splitting and merging
run in threads: the system calls and the hashes leave the interpreter to others. Parsers of files that others made run
in a process, which a deadline can kill.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from workers.bridges.base import Bridge
from workers.bridges.settings import Placement
from workers.services.files import service
from workers.services.files.roots import anchored
from workers.services.files.types import FileType, Metadata

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from workers.requests import OnProgress
    from workers.services.files.hashing import Algorithm, StrongAlgorithm
    from workers.services.files.service import HashedFile, MergedFile, SplitFile

CHUNK_BYTES = 4 * 1024 * 1024
"""The size of a chunk unless another is asked for. Splitting 64 MiB with BLAKE3 into chunks of 1, 4 and 16 MiB did 590,
900 and 1,020 MB/s of CPU time (2026-11-23), merging them 1,050 whatever their size; a lost chunk costs its size again."""


class FilesBridge(Bridge):
    """Hashes, splits, merges and describes files; had as `bridges.files`.

    Every path is relative to `root` (an absolute folder) and stays below it: a path that is absolute, holds `..`, or leads through a link
    raises `PathRefused`. Errors are those of `workers.services.files.errors`.
    """

    name = "files"
    service = "workers.services.files.service:FilesService"
    placements = MappingProxyType(
        {
            "hash": Placement(),
            "split": Placement(),
            "merge": Placement(),
            "detect": Placement(process_from_bytes=0),
            "metadata": Placement(process_from_bytes=0),
        }
    )

    async def hash(
        self,
        path: str,
        *,
        root: str | os.PathLike[str],
        algorithms: Sequence[Algorithm] = ("sha256",),
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> HashedFile:
        """Return the size of a file and its sums by all `algorithms`, from one reading.

        Raises:
            FileChanged: It was written to meanwhile.
            PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.HashParams(root=anchored(root), paths=(path,), algorithms=tuple(algorithms))
        hashed = await self._request(
            "hash", params, list[service.HashedFile], timeout_s=timeout_s, on_progress=on_progress
        )
        return hashed[0]

    async def hash_many(
        self,
        paths: Sequence[str],
        *,
        root: str | os.PathLike[str],
        algorithms: Sequence[Algorithm] = ("sha256",),
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[HashedFile]:
        """Return what `hash` does of each file, in order; one that can't be hashed says so in `refused`.

        At most 10,000 files; for large ones several calls at once use several workers.
        """
        params = service.HashParams(
            root=anchored(root), paths=tuple(paths), algorithms=tuple(algorithms), keeps_going=True
        )
        return await self._request(
            "hash", params, list[service.HashedFile], timeout_s=timeout_s, on_progress=on_progress
        )

    async def split(
        self,
        path: str,
        into: str,
        *,
        root: str | os.PathLike[str],
        chunk_bytes: int = CHUNK_BYTES,
        algorithm: StrongAlgorithm = "blake3",
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> SplitFile:
        """Split a file into chunks of 1 to 16 MiB in the folder `into`, with a manifest of their sums.

        Done again after a failure, it writes only what is not there yet. The manifest is written last: while there is
        none, the folder is not complete.

        Raises:
            FileChanged: The file was written to meanwhile.
            InvalidParameters: `chunk_bytes` is out of bounds.
            PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.SplitParams(
            root=anchored(root), path=path, into=into, chunk_bytes=chunk_bytes, algorithm=algorithm
        )
        return await self._request(
            "split", params, service.SplitFile, timeout_s=timeout_s, on_progress=on_progress
        )

    async def merge(
        self,
        chunks: str,
        target: str,
        *,
        root: str | os.PathLike[str],
        overwrite: bool = False,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> MergedFile:
        """Merge the folder `chunks` into the file `target`, verifying each chunk, their order and the whole.

        The file is on disk, whole, when this returns. Done again after a failure, it goes on where it was.

        Raises:
            ChunkRefused: A chunk is missing, doubled, misplaced, damaged or one too many; `details` name it.
            FileExists: Another file is at `target`, and `overwrite` is off.
            FileBusy: Another merge writes it.
            FileUnreadable, PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.MergeParams(root=anchored(root), chunks=chunks, target=target, overwrite=overwrite)
        return await self._request(
            "merge", params, service.MergedFile, timeout_s=timeout_s, on_progress=on_progress
        )

    async def detect(
        self, path: str, *, root: str | os.PathLike[str], timeout_s: float | None = None
    ) -> FileType:
        """Return what a file is by its content, and the encoding of a text.

        Raises:
            PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.FileParams(root=anchored(root), path=path)
        return await self._request("detect", params, FileType, timeout_s=timeout_s)

    async def metadata(
        self,
        path: str,
        *,
        root: str | os.PathLike[str],
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> Metadata:
        """Return what a picture, sound, PDF, archive or text tells about itself, by its type.

        Raises:
            FileUnreadable: It is damaged, or asks for more reading than a look is worth.
            FileChanged: It was written to meanwhile.
            PathRefused, FileMissing, FileError: As their names say.
        """
        params = service.FileParams(root=anchored(root), path=path)
        return await self._request("metadata", params, Metadata, timeout_s=timeout_s, on_progress=on_progress)
