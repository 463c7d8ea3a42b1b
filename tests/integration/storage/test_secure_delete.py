from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from storage import StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from pathlib import Path

SECRET = b"nobody is to read this again" * 500  # more than a page holds


@pytest.mark.parametrize("is_secure", [False, True])
async def test_what_is_deleted_is_overwritten_where_that_is_asked_for(
    tmp_path: Path, is_secure: bool
) -> None:
    path = tmp_path / "shop.db"
    settings = StorageSettings(kind="thread", worker_count=1, secure_delete=is_secure)
    async with open_storage(path, settings) as db:
        await db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, note BLOB) STRICT")
        await db.execute("INSERT INTO item (note) VALUES (?)", [SECRET])
        await db.execute("UPDATE item SET note = NULL")

    assert (SECRET[:28] in await anyio.Path(path).read_bytes()) is not is_secure
