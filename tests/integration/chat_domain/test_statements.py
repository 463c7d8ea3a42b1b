"""Every statement of the chat prepares, and none that runs often walks a whole table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from chat.domain.tables import MIGRATIONS, STATEMENTS
from chat.statement_texts import load
from storage import StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {
    "rank_role",
    "CONSTANT",
    "candidate",  # as many as are ranked
    "hit",  # a page
}
NEW_PARENTS = {
    "new_room": {"send_order", "read_marker"},
    "direct_room": {"send_order", "read_marker"},
    "new_space_of": {"space_key"},
    "import_rooms": {"send_order", "read_marker"},
    "import_users": {"invite", "send_order", "mute", "message", "pin", "reaction"},
}
"""What refers to a table is walked at an INSERT into it only while dangling rows are known of: in a migration."""


def params_of(sql: str) -> list[Any]:
    return [None] * max((int(number) for number in re.findall(r"\?(\d+)", sql)), default=0)


OF_FEW_ROWS = ("USING INDEX space_to_purge", "USING COVERING INDEX space_to_purge")
"""Walked from end to end, but it holds only the rows that are looked for."""


def walked_table(detail: str) -> str | None:
    """Return the table that a line of a plan walks from end to end."""
    match = re.match(r"SCAN (\w+)(?: VIRTUAL TABLE INDEX \d+:(.*))?", detail)
    if match is None or detail.endswith(OF_FEW_ROWS):
        return None
    is_searched = "M" in match[2] if match[1] == "message_text" else True
    return None if match[2] is not None and is_searched else match[1]


async def test_every_statement_prepares_and_none_scans_a_table(tmp_path: Path) -> None:
    settings = StorageSettings(kind="thread", worker_count=1, plans_by_values=False)
    statements = await anyio.to_thread.run_sync(load, STATEMENTS)
    walked: dict[str, set[str | None]] = {}
    async with open_storage(tmp_path / "chat.db", settings, migrations=MIGRATIONS) as db:
        for name, sql in statements.items():
            plan = (await db.execute(f"EXPLAIN QUERY PLAN {sql}", params_of(sql))).rows
            scanned = {walked_table(row[-1]) for row in plan} - {None}
            if beyond := scanned - SMALL - NEW_PARENTS.get(name, set()):
                walked[name] = beyond
    assert walked == {}
    assert len(statements) > 80
