"""Write a file beside its place and put it there whole: no reader ever sees half of one.

The unfinished file has a name of its own for each target, so a killed worker leaves at most one, which the next
writer takes over; a lock on it lets in one writer at a time.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workers.services.files.errors import FileBusy, FileError, FileMissing, PathRefused, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

_PART = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def write_whole(fd: int, data: memoryview | bytes, path: str) -> None:
    """Append all of `data`; `path` is what errors call the file."""
    rest = memoryview(data)
    with translated(path):
        while rest:
            rest = rest[os.write(fd, rest) :]


@contextmanager
def fresh(descriptor: int, name: str, path: str, *, durable: bool, overwrite: bool = True) -> Iterator[int]:
    """Give the descriptor of a new file (0600) that becomes `name` in the open folder when the block ends well.

    After an error nothing is left of it. With `durable` it is on disk, name and all, when this ends.

    Raises:
        FileExists: Something has that name already, and `overwrite` is off.
        FileBusy: Another writes it.
    """
    with continued(descriptor, name, path) as (fd, temporary):
        try:
            with translated(path):
                os.ftruncate(fd, 0)
            yield fd
            put(descriptor, temporary, fd, name, path, durable=durable, overwrite=overwrite)
        except BaseException:
            forget(descriptor, temporary, path)
            raise


@contextmanager
def continued(descriptor: int, name: str, path: str) -> Iterator[tuple[int, str]]:
    """Open the unfinished file of `name` in the open folder, for one writer at a time.

    Gives its descriptor and its name; it stays there until it is `put`, also after an error, so that the next one
    goes on from what it holds.

    Raises:
        FileBusy: Another writer has it.
        PathRefused: Something else has its name.
    """
    temporary = f".{name}.part"
    with translated(path):
        fd = os.open(temporary, _PART, 0o600, dir_fd=descriptor)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileBusy(f"{path!r} is being written by another", path=path) from error
        if not _is_still(fd, descriptor, temporary, path):
            raise FileBusy(f"{path!r} was being written by another", path=path)
        yield fd, temporary
    finally:
        os.close(fd)


def put(
    descriptor: int, temporary: str, fd: int, name: str, path: str, *, durable: bool, overwrite: bool
) -> None:
    """Give the finished file its `name` in one step."""
    with translated(path):
        if durable:
            os.fsync(fd)
        if overwrite:
            os.rename(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        else:
            os.link(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)
            os.unlink(temporary, dir_fd=descriptor)
        if durable:
            os.fsync(descriptor)


def forget(descriptor: int, name: str, path: str) -> None:
    """Remove the file `name` from the open folder, if it is there."""
    try:
        with translated(path):
            os.unlink(name, dir_fd=descriptor)
    except FileMissing:
        return


def _is_still(fd: int, descriptor: int, temporary: str, path: str) -> bool:
    """Say whether the locked file is the one of that name: its writer may have put it in its place meanwhile."""
    ours = os.fstat(fd)
    if ours.st_nlink > 1:
        raise PathRefused(f"the unfinished file of {path!r} has other names", path=path)
    try:
        there = os.stat(temporary, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileError(f"{path!r} could not be written", path=path) from error
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
