"""Every statement in a .sql file of ours is one that SQLite takes."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(
    {path.parent for name in ("dataserver", "storage", "chat") for path in (ROOT / name).rglob("[0-9]*.sql")}
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_migrations_of_a_folder_apply_one_after_the_other(folder: Path) -> None:
    files = sorted(folder.glob("[0-9]*.sql"))
    connection = apsw.Connection(":memory:")
    for file in files:
        for _ in connection.execute(file.read_text(encoding="utf-8")):
            pass
    assert files
    connection.close()
