"""These tests need the build of apsw that can encrypt; `tests/long/test_encryption.py` runs them with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw
import pytest

from storage import StorageSettings
from workers import FileKeySource

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "the-quick-brown-marker"


@pytest.fixture(autouse=True)
def the_build_that_encrypts() -> None:
    assert hasattr(apsw, "mc_version"), "run tests/long/test_encryption.py"


@pytest.fixture
def anyio_backend() -> str:
    """One loop will do: what a key changes lies inside workers."""
    return "asyncio"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, FileKeySource]:
    """Two keys, by name."""
    return {name: key_file(tmp_path / f"{name}.key") for name in ("first", "second")}


def key_file(path: Path) -> FileKeySource:
    return FileKeySource.create(path)


def settings_for(kind: str, **keys: FileKeySource) -> StorageSettings:
    return StorageSettings(kind=kind, worker_count=2, keys=keys)  # type: ignore[arg-type]  # one of two


def shown_in(folder: Path, text: bytes) -> list[str]:
    """Return the files below `folder` that hold `text`."""
    places = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(os.fspath(path.relative_to(folder)) for path in places if text in path.read_bytes())
