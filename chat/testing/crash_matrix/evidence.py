"""What a run of the matrix left behind: the senders' notes, the server's log, and the queue's file, read by itself.

The file is read by SQL and not through a queue, which might tell the audit what it tells everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec

from chat.testing.crash_matrix import sender, server_log
from chat.testing.crash_matrix.ledger import BEGUN, notes, path_of
from chat.testing.crash_matrix.plan import name_of
from storage import StorageSettings
from storage import open as open_storage

if TYPE_CHECKING:
    from chat.testing.crash_matrix.plan import Plan
    from chat.testing.crash_matrix.server_log import Record
    from storage import Database

_PAGE_COUNT = 5_000


class Stored(msgspec.Struct, frozen=True):
    """An action in the queue's file."""

    name: str
    place: int
    """Rises with each action."""
    state: str
    lane: str


class Times(msgspec.Struct, frozen=True):
    """When an action was begun to be enqueued for the first time, and when it was acknowledged, if it was."""

    begun_ns: int
    stored_ns: int | None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that the audit looks at."""

    told: dict[str, Times]
    """By name: what the senders noted."""
    records: list[Record]
    """What the server saw, in order."""
    stored: list[Stored]
    """What the queue holds, in the order of places."""
    counters: dict[tuple[str, str], int]
    """How many actions the queue thinks it has, by type ('' for all) and state."""
    moves: dict[tuple[str | None, str], int] = {}
    """How often an action went from one state (None: it was new) to another."""
    ended_twice_count: int = 0
    """Actions with more than one event of an end."""
    claims_count: int = 0
    """Lanes that somebody still has."""
    integrity: str = "ok"
    errors: list[str] = []
    """The first lines of what processes logged as errors."""


async def gathered(plan: Plan) -> Evidence:
    """Return what the run left in the present folder."""
    told, records, errors = await anyio.to_thread.run_sync(_written_down, plan)
    async with open_storage(sender.QUEUE, StorageSettings(kind="thread", worker_count=1)) as database:
        return Evidence(
            told=told,
            records=records,
            stored=await _stored(database),
            counters={
                (row[0], row[1]): row[2]
                for row in await database.query("SELECT type, state, count FROM counter")
                if row[2]
            },
            moves={
                (row[0], row[1]): row[2]
                for row in await database.query(
                    "SELECT was, kind, count(*) FROM event WHERE client_id IS NOT NULL GROUP BY was, kind"
                )
            },
            ended_twice_count=await _number(
                database,
                "SELECT count(*) FROM (SELECT 1 FROM event WHERE kind IN ('done', 'failed', 'expired', 'cancelled')"
                " GROUP BY client_id HAVING count(*) > 1)",
            ),
            claims_count=await _number(database, "SELECT count(*) FROM lane WHERE owner IS NOT NULL"),
            integrity=", ".join(row[0] for row in await database.query("PRAGMA integrity_check")),
            errors=errors,
        )


def _written_down(plan: Plan) -> tuple[dict[str, Times], list[Record], list[str]]:
    told: dict[str, Times] = {}
    errors: list[str] = []
    for each in plan.senders():
        told |= _told(each)
        path = Path(sender.errors_path(each))
        if path.exists():
            errors += path.read_text(encoding="utf-8").splitlines()
    return told, list(server_log.records(Path(server_log.PATH))), errors


def _told(who: str) -> dict[str, Times]:
    told: dict[str, Times] = {}
    for note in notes(Path(path_of(who))):
        for number in range(note.first, note.last + 1):
            name = name_of(who, number)
            if note.what == BEGUN:
                told.setdefault(name, Times(note.at_ns, None))
            elif told[name].stored_ns is None:
                told[name] = Times(told[name].begun_ns, note.at_ns)
    return told


async def _stored(database: Database) -> list[Stored]:
    found: list[Stored] = []
    while True:
        rows = await database.query(
            "SELECT action.client_id, action.id, action.state, lane.key FROM action JOIN lane ON lane.id = lane_id"
            " WHERE action.id > ? ORDER BY action.id LIMIT ?",
            [found[-1].place if found else 0, _PAGE_COUNT],
        )
        if not rows:
            return found
        found += [Stored(*row) for row in rows]


async def _number(database: Database, sql: str) -> int:
    rows: list[tuple[Any, ...]] = await database.query(sql)
    return int(rows[0][0])
