"""What can go wrong with a file; no text holds more of a path than the caller gave.

FileError             the root; also any refusal of the system that has no class of its own (no space, no permission)
├── PathRefused       the path leads out of the root, through a link, or to something that is no regular file
├── FileMissing       nothing is there
├── FileExists        something is there already, and was to be kept
├── FileBusy          another merge writes this file
├── FileChanged       the file was written to while it was read; nothing was made of it
├── FileUnreadable    the content is damaged, or too costly to look into
└── ChunkRefused      a chunk is missing, doubled, misplaced or damaged; `details` has `index` and `reason`
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workers.errors import PortableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileError(PortableError):
    """The root of what the file service raises on purpose."""


class PathRefused(FileError):
    """The path is not one of a regular file below the root; name another."""


class FileMissing(FileError):
    """Nothing is at this path."""


class FileExists(FileError):
    """Something is at this path already; nothing was written."""


class FileBusy(FileError):
    """Another merge writes this file now; try again when it is done."""


class FileChanged(FileError):
    """The file was written to while it was read; start again when its writer is done."""


class FileUnreadable(FileError):
    """The content is damaged or asks for more work than a look is worth; trying again changes nothing."""


class ChunkRefused(FileError):
    """A chunk is not the one the manifest names; `details["index"]` says which, `details["reason"]` why."""


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn the system's errors about `path` (as the caller named it) into this module's, keeping the cause."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissing(f"{path!r} does not exist", path=path) from error
    except FileExistsError as error:
        raise FileExists(f"{path!r} exists already", path=path) from error
    except OSError as error:
        if error.errno in _LEADS_ELSEWHERE:
            raise PathRefused(f"{path!r} leads through a link or a file", path=path) from error
        reason = "the system refused" if error.strerror is None else error.strerror.lower()
        raise FileError(f"{path!r}: {reason}", path=path) from error


_LEADS_ELSEWHERE = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK, errno.ENXIO, errno.EISDIR})
