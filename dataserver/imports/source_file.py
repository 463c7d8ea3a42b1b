"""A file to import, compressed or not, and how much of it is read."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dataserver.imports.records import UnreadableFile

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1 << 20


class SourceFile:
    """An open file whose `stream` is the decompressed content; told apart by its first bytes, not by its name."""

    def __init__(self, raw: BinaryIO, size_bytes: int) -> None:
        self._raw = raw
        self.size_bytes = size_bytes
        head = raw.read(len(_GZIP_MAGIC))
        raw.seek(0)
        self.is_compressed = head == _GZIP_MAGIC
        self.stream: BinaryIO = raw
        if self.is_compressed:
            self.stream = cast(
                "BinaryIO", io.BufferedReader(gzip.GzipFile(fileobj=raw, mode="rb"), _BUFFER_BYTES)
            )

    @property
    def read_bytes(self) -> int:
        """How much of the file itself has been read, for a progress bar against `size_bytes`."""
        return self._raw.tell()


@contextmanager
def open_source(path: Path) -> Iterator[SourceFile]:
    """Open `path` for reading.

    Raises:
        UnreadableFile: It cannot be opened, or turned out not to be whole while it was read.
    """
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as raw:
            yield SourceFile(raw, path.stat().st_size)
    except (gzip.BadGzipFile, EOFError) as error:
        raise UnreadableFile(f"{path} is not a whole gzip file: {error}") from error
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of the file as it lies there, in hex: the same file resumes, another one does not."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def plain_copy(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a path to the uncompressed content: `path` itself, or a temporary file in `folder`."""
    with open_source(path) as source:
        if not source.is_compressed:
            yield path
            return
        with tempfile.NamedTemporaryFile(dir=folder, prefix="unpacked-", suffix=".tmp") as unpacked:
            shutil.copyfileobj(source.stream, unpacked, _BUFFER_BYTES)
            unpacked.flush()
            yield Path(unpacked.name)
