"""What a file tells about itself, by its type: each kind has a reader of its own, loaded when first needed."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from workers.services.files.detection import HEAD_BYTES, type_of
from workers.services.files.looking import Looked
from workers.services.files.reading import Source
from workers.services.files.roots import opened
from workers.services.files.types import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.methods import Task
    from workers.services.files.types import Facts, FileType


def read_metadata(root: str, path: str, task: Task) -> Metadata:
    """Return what the file at `path` below `root` tells about itself.

    Raises:
        FileUnreadable: It is damaged, or asks for more reading than a look is worth.
        FileChanged: It was written to meanwhile.
        PathRefused, FileMissing, FileError: As `opened` says.
    """
    with opened(root, path) as fd, Source(fd, path, task).unchanged() as size:
        file = Looked(fd, path, task)
        kind = type_of(file.read(HEAD_BYTES), is_whole=size <= HEAD_BYTES)
        file.seek(0)
        task.progress(0, 1, kind.mime)
        reader = _reader(kind)
        return Metadata(
            type=kind,
            size_bytes=size,
            modified_at=os.fstat(fd).st_mtime,
            facts=None if reader is None else reader(file, path, kind, task),
        )


_EXACT = {
    "application/pdf": "pdfs",
    "application/zip": "zips",
    "application/epub+zip": "zips",
    "application/java-archive": "zips",
    "application/x-tar": "tars",
    "video/mp4": "sounds",
}
_BEGINNINGS = (
    ("image/svg", "prose"),
    ("image/", "images"),
    ("audio/", "sounds"),
    ("application/vnd.openxmlformats-officedocument.", "zips"),
    ("application/vnd.oasis.opendocument.", "zips"),
)


def _reader(kind: FileType) -> Callable[[Looked, str, FileType, Task], Facts | None] | None:
    module = _EXACT.get(kind.mime)
    if module is None:
        module = next((name for start, name in _BEGINNINGS if kind.mime.startswith(start)), None)
    if module is None and kind.encoding is not None:
        module = "prose"
    if module is None:
        return None
    reader: Callable[[Looked, str, FileType, Task], Facts | None] = import_module(
        f"workers.services.files.{module}"
    ).facts
    return reader
