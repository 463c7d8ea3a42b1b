"""Facts of a zip and of what is made as one (office files, books, Java archives), from its directory alone."""

from __future__ import annotations

import zipfile
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, cast

from workers.services.files.entries import MAX_ENTRIES_COUNT, escapes, shown
from workers.services.files.errors import FileUnreadable
from workers.services.files.types import ArchiveFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType

MAX_DIRECTORY_BYTES = 8 * 1024 * 1024
"""Some 100,000 entries, which take 100 MB of memory and a second."""

_ENCRYPTED = 0x1
_HEADER_BYTES = 30


def facts(file: Looked, path: str, kind: FileType, task: Task) -> ArchiveFacts | None:  # noqa: ARG001 - the shape of a reader
    """Return the facts of a zip.

    Raises:
        FileUnreadable: It is damaged, or its directory is larger than a look is worth.
    """
    file.left_bytes = MAX_DIRECTORY_BYTES
    try:
        with zipfile.ZipFile(cast("BinaryIO", file)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError) as error:
        raise FileUnreadable(f"{path!r} is a damaged zip", path=path) from error
    looked = entries[:MAX_ENTRIES_COUNT]
    return ArchiveFacts(
        entries_count=len(entries),
        is_complete=len(looked) == len(entries),
        packed_bytes=sum(each.compress_size for each in looked),
        unpacked_bytes=sum(each.file_size for each in looked),
        is_encrypted=any(each.flag_bits & _ENCRYPTED for each in looked),
        has_escapes=any(escapes(each.filename) for each in looked),
        has_overlaps=_overlap(looked),
        names=shown(each.filename for each in looked),
    )


def _overlap(entries: list[zipfile.ZipInfo]) -> bool:
    spans = sorted(
        (each.header_offset, each.header_offset + _HEADER_BYTES + each.compress_size) for each in entries
    )
    return any(first[1] > second[0] for first, second in pairwise(spans))
