"""Files are reached from a root folder, one name at a time, and never through a link.

Each folder on the way is opened relative to the one before (`dir_fd`) with O_NOFOLLOW, so whoever swaps a folder for
a link meanwhile gains nothing: there is no moment between a check and a use. That refuses links that stay inside
the root as well, which `openat2` with RESOLVE_BENEATH would let pass; Python 3.11 has no `openat2`, and a rule
without exceptions is the easier one to trust. The root itself is taken as it is given, links and all. A hard link
made by someone who may write in the root can't be told from a file, and a mount inside the root is followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workers.services.files.errors import PathRefused, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
"""Names in a path."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = (
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
)  # NONBLOCK: a pipe must not hang us


def anchored(root: str | os.PathLike[str]) -> str:
    """Return `root` as text.

    Raises:
        ValueError: It is relative: to which folder, a worker and its caller may see differently.
    """
    path = os.fspath(root)
    if not path.startswith("/"):
        raise ValueError("a root is absolute")
    return path


def names_of(path: str) -> list[str]:
    """Return the names that lead from the root to `path`.

    Raises:
        PathRefused: It is empty, absolute, too deep, or holds `.`, `..`, an empty name or a zero byte.
    """
    names = path.split("/")
    if any(name in {"", ".", ".."} or "\0" in name for name in names):
        raise PathRefused(f"{path!r} is no plain path below the root", path=path)
    if len(names) > MAX_DEPTH:
        raise PathRefused(f"a path has at most {MAX_DEPTH} names", path=path)
    return names


@contextmanager
def folder(root: str, path: str, *, create: bool = False) -> Iterator[int]:
    """Open the folder at `path` ("" is the root itself) and give its descriptor; it is closed on leaving.

    With `create`, folders that are not there are made (0700).

    Raises:
        PathRefused, FileMissing, FileError: As their names say.
    """
    names = names_of(path) if path else []
    with translated(path or "."):
        descriptor = os.open(root, _FOLDER)
    try:
        for name in names:
            with translated(path):
                if create:
                    _make(name, descriptor)
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def parent(root: str, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """Open the folder that holds `path` and give its descriptor and the last name of `path`; see `folder`."""
    *above, name = names_of(path)
    with folder(root, "/".join(above), create=create) as descriptor:
        yield descriptor, name


@contextmanager
def opened(root: str, path: str) -> Iterator[int]:
    """Open the regular file at `path` below `root` for reading and give its descriptor; it is closed on leaving.

    Raises:
        PathRefused: The path leads out of the root, through a link, or to something that is no regular file.
        FileMissing: There is no such file.
        FileError: The system refused.
    """
    with parent(root, path) as (descriptor, name):
        fd = opened_in(descriptor, name, path)
    try:
        yield fd
    finally:
        os.close(fd)


def opened_in(descriptor: int, name: str, path: str) -> int:
    """Open the regular file `name` in an open folder and return its descriptor, which the caller closes.

    `path` is how the caller calls it. Raises as `opened` does.
    """
    with translated(path):
        fd = os.open(name, _FILE, dir_fd=descriptor)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PathRefused(f"{path!r} is no regular file", path=path)
    return fd


def _make(name: str, descriptor: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=descriptor)
    except FileExistsError:
        return
