from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage import StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = "EXPLAIN QUERY PLAN SELECT id FROM item WHERE name LIKE ?"


@pytest.mark.parametrize(("plans_by_values", "step"), [(True, "SEARCH"), (False, "SCAN")])
async def test_a_plan_depends_on_the_values_of_parameters_unless_that_is_switched_off(
    tmp_path: Path, plans_by_values: bool, step: str
) -> None:
    settings = StorageSettings(kind="thread", worker_count=1, plans_by_values=plans_by_values)
    async with open_storage(tmp_path / "shop.db", settings) as db:
        await db.execute(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, note TEXT) STRICT"
        )
        await db.execute("CREATE INDEX item_name ON item (name, note)")

        plan = await db.query(BY_NAME, ["tea%"])

    assert [row[-1].split()[0] for row in plan] == [step]
