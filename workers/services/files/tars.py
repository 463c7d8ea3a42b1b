"""Facts of a tar, from the headers between its files; one that is compressed as well is opened by its codec first."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO, cast

from workers.services.files.entries import MAX_ENTRIES_COUNT, escapes, shown
from workers.services.files.errors import FileUnreadable
from workers.services.files.types import ArchiveFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType


def facts(file: Looked, path: str, kind: FileType, task: Task) -> ArchiveFacts | None:  # noqa: ARG001 - the shape of a reader
    """Return the facts of a tar.

    Raises:
        FileUnreadable: It is damaged.
    """
    entries: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(fileobj=cast("BinaryIO", file), mode="r:") as archive:
            while len(entries) < MAX_ENTRIES_COUNT and (entry := archive.next()) is not None:
                entries.append(entry)
                task.progress(file.tell(), file.size)
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        raise FileUnreadable(f"{path!r} is a damaged tar", path=path) from error
    unpacked = sum(each.size for each in entries if each.isreg())
    return ArchiveFacts(
        entries_count=len(entries),
        is_complete=len(entries) < MAX_ENTRIES_COUNT,
        packed_bytes=unpacked,
        unpacked_bytes=unpacked,
        is_encrypted=False,
        has_escapes=any(escapes(each.name) or escapes(_linked(each)) for each in entries),
        has_overlaps=False,
        names=shown(each.name for each in entries),
    )


def _linked(entry: tarfile.TarInfo) -> str:
    """Return where a link leads, seen from the folder it is unpacked to; "" for what is no link."""
    if entry.islnk():
        return entry.linkname
    if not entry.issym():
        return ""
    above = entry.name.rpartition("/")[0]
    return f"{above}/{entry.linkname}" if above and not entry.linkname.startswith("/") else entry.linkname
