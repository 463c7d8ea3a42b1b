"""The keys of database files as they go to workers, which nothing that prints them shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Key(msgspec.Struct, frozen=True):
    """The key of a database, which no repr shows."""

    raw: bytes

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # what says so slows a worker's start
        return "<key>"


class FileKeys(msgspec.Struct, frozen=True):
    """Which files have which keys; goes to the workers in their options, over the socket that each of them has."""

    by_path: dict[str, Key] = {}
    folder: str = ""
    """What the paths of its files begin with, the slash at the end included."""
    rest: Key | None = None
    """Of the other files in it."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> FileKeys:
        """Return what was sent, none if nothing was."""
        return msgspec.convert(options.get("keys", cls()), cls)

    def of(self, path: str) -> Key | None:
        """Return the key of the file at `path`."""
        found = self.by_path.get(path)
        return self.rest if found is None and self._is_inside(path) else found

    def _is_inside(self, path: str) -> bool:
        folder, slash, _ = path.rpartition("/")
        return f"{folder}{slash}" == self.folder

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # what says so slows a worker's start
        return f"<keys of {len(self.by_path)} files>"


class CopyKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of the two files of a copy."""

    source: Key | None = None
    target: Key | None = None


NO_KEYS = CopyKeys()
