"""The file service: typed methods around this package's functions; it runs in any kind of worker."""

from __future__ import annotations

from typing import Annotated

import msgspec

from workers.methods import MethodService, Task, method
from workers.services.files.errors import FileError
from workers.services.files.hashing import Algorithm, StrongAlgorithm, hash_file
from workers.services.files.manifests import ChunkBytes, Manifest
from workers.services.files.merging import merge_file
from workers.services.files.splitting import split_file
from workers.services.files.types import FileType, Metadata

MAX_BATCH_COUNT = 10_000
"""Files in one call."""

Algorithms = Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1, max_length=5)]


class FileParams(msgspec.Struct, frozen=True, kw_only=True):
    """A file below a root."""

    root: str
    path: str


class HashParams(msgspec.Struct, frozen=True, kw_only=True):
    """Files to hash."""

    root: str
    paths: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_BATCH_COUNT)]
    algorithms: Algorithms
    keeps_going: bool = False


class HashedFile(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a file."""

    path: str
    size_bytes: int = 0
    digests: dict[str, str] = {}
    """In hexadecimal, by algorithm."""
    refused: str | None = None
    """Why there are none, where one bad file does not end the batch."""


class SplitParams(msgspec.Struct, frozen=True, kw_only=True):
    """A file to split."""

    root: str
    path: str
    into: str
    chunk_bytes: ChunkBytes
    algorithm: StrongAlgorithm


class SplitFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in chunks."""

    manifest: Manifest
    written_count: int
    """Chunks written; the others were there already."""


class MergeParams(msgspec.Struct, frozen=True, kw_only=True):
    """Chunks to merge."""

    root: str
    chunks: str
    target: str
    overwrite: bool


class MergedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file made of its chunks."""

    size_bytes: int
    digest: str
    chunks_count: int
    kept_count: int
    """Chunks that an earlier merge, which was stopped, had put there."""


class FilesService(MethodService):
    """Hashes, splits, merges and describes files; keeps nothing between calls."""

    @method()
    def hash(self, params: HashParams, task: Task) -> list[HashedFile]:
        """Hash each file with all algorithms in one reading."""
        hashed = []
        is_one = len(params.paths) == 1
        for index, path in enumerate(params.paths):
            try:
                size, digests = hash_file(params.root, path, params.algorithms, task, tells=is_one)
            except FileError as error:
                if not params.keeps_going:
                    raise
                hashed.append(HashedFile(path=path, refused=str(error)))
            else:
                hashed.append(HashedFile(path=path, size_bytes=size, digests=digests))
            if not is_one:
                task.progress(index + 1, len(params.paths), "files")
        return hashed

    @method()
    def split(self, params: SplitParams, task: Task) -> SplitFile:
        """Split a file into a folder of chunks; done again, it goes on where it was."""
        manifest, written_count = split_file(
            params.root,
            params.path,
            params.into,
            chunk_bytes=params.chunk_bytes,
            algorithm=params.algorithm,
            task=task,
        )
        return SplitFile(manifest=manifest, written_count=written_count)

    @method()
    def merge(self, params: MergeParams, task: Task) -> MergedFile:
        """Merge a folder of chunks; done again, it goes on where it was, or finds the file that it made."""
        manifest, kept_count = merge_file(
            params.root, params.chunks, params.target, overwrite=params.overwrite, task=task
        )
        return MergedFile(
            size_bytes=manifest.size_bytes,
            digest=manifest.digest,
            chunks_count=len(manifest.chunks),
            kept_count=kept_count,
        )

    @method()
    def detect(self, params: FileParams, task: Task) -> FileType:
        """Say what a file is."""
        from workers.services.files.detection import detect  # noqa: PLC0415 - 30 ms that hashing does not need

        return detect(params.root, params.path, task)

    @method()
    def metadata(self, params: FileParams, task: Task) -> Metadata:
        """Read what a file tells about itself."""
        from workers.services.files.metadata import read_metadata  # noqa: PLC0415 - as above

        return read_metadata(params.root, params.path, task)
