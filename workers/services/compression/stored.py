"""Compress and decompress files below a root, in the memory of a block, whatever their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.services.compression.codecs import packing
from workers.services.compression.unpacking import Unpacker
from workers.services.files.reading import Source
from workers.services.files.roots import opened, parent
from workers.services.files.writing import fresh, write_whole

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.compression.limits import OutputLimits


def compress_file(
    root: str, path: str, target: str, *, codec: str, level: int | None, overwrite: bool, task: Task
) -> tuple[int, int]:
    """Compress the file `path` into the file `target`, both below `root`; return their sizes in bytes.

    The target is on disk when this returns; after an error nothing is there that was not there before.

    Raises:
        FileChanged: The file was written to meanwhile.
        CodecRefused, PathRefused, FileMissing, FileExists, FileError: As their names say.
    """
    read = written = 0
    with (
        opened(root, path) as fd,
        parent(root, target, create=True) as (home, name),
        fresh(home, name, target, durable=True, overwrite=overwrite) as out,
        Source(fd, path, task).unchanged() as size,
    ):
        stream = packing(codec, level, size_bytes=size)
        for block in Source(fd, path, task).blocks(size):
            part = stream.push(block)
            write_whole(out, part, target)
            written += len(part)
            read += len(block)
            task.progress(read, size)
        part = stream.end()
        write_whole(out, part, target)
    return size, written + len(part)


def decompress_file(
    root: str, path: str, target: str, *, codec: str, limits: OutputLimits, overwrite: bool, task: Task
) -> tuple[int, int]:
    """Decompress the file `path` into the file `target`, both below `root`; return their sizes in bytes.

    Raises:
        DataDamaged, OutputTooLarge: As `decompress` does; nothing is at `target` that was not there before.
        CodecRefused, PathRefused, FileMissing, FileExists, FileChanged, FileError: As their names say.
    """
    with (
        opened(root, path) as fd,
        parent(root, target, create=True) as (home, name),
        fresh(home, name, target, durable=True, overwrite=overwrite) as out,
        Source(fd, path, task).unchanged() as size,
    ):
        stream = Unpacker(codec, limits, size_bytes=size)
        for block in Source(fd, path, task).blocks(size):
            for piece in stream.feed(block):
                task.check()
                write_whole(out, piece, target)
            task.progress(stream.input_bytes, size)
        stream.end()
    return size, stream.output_bytes
