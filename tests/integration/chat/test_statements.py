from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from chat.statement_texts import load
from storage import StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from storage import Database

STATEMENTS = load("chat.queue.statements")
OF_PEOPLE = {
    "some",
    "failed_ids",
    "owners",
    "forgotten_topics",
    "cancel_answers",
    "look_up",
    "ends",
    "own_tables",
    "keys_in_use",
}
"""Not run in the middle of work, or on a few rows by nature."""
SCANS_OF_SMALL_TABLES = {
    "counter",
    "machine",
    "paused_account",
    "cursor",
    "json_each",
    "wanted",
    "said",
    "CONSTANT",
}


@asynccontextmanager
async def migrated(folder: Path) -> AsyncIterator[Database]:
    settings = StorageSettings(kind="thread", worker_count=1, plans_by_values=False)
    async with open_storage(folder / "queue.db", settings, migrations="chat.queue.migrations") as db:
        yield db


def params_of(sql: str) -> list[Any]:
    return [None] * max((int(number) for number in re.findall(r"\?(\d+)", sql)), default=0)


async def test_every_statement_prepares_and_none_of_the_loop_scans_a_table(tmp_path: Path) -> None:
    async with migrated(tmp_path) as db:
        for name, sql in STATEMENTS.items():
            plan = (await db.execute(f"EXPLAIN QUERY PLAN {sql}", params_of(sql))).rows
            scanned = {match[1] for row in plan if (match := re.match(r"SCAN (\w+)", row[-1]))}

            assert name in OF_PEOPLE or scanned <= SCANS_OF_SMALL_TABLES | _allowed(name), name


def _allowed(name: str) -> set[str]:
    """Return the tables that a statement may walk: each walk ends after a bounded number of rows."""
    return {
        "prune_lanes": {"lane"},
        "prune_events": {"event"},
        "boot_lanes": {"lane"},
        "event_bounds": {"event"},
        "add_actions": {"new"},
        "add_needs": {"needed"},
        "sealing_keys": {"used"},
        "not_sealed": {"plain"},
    }.get(name, {"gone"})
