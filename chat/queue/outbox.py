"""The hot part of the tables: actions come in, turns are taken.

Several processes may share the file. Figures of turns stand in `pace` and `turn_writing`.

Actions that come in together are stored by one statement for many rows, which takes all of them or none; only when one
is there already, or there is no room, each is judged by itself. A statement each, for the action and its lane, cost the
writer's thread 134,000 instructions an action, rows of 64, 16, 4 and 1 in lanes that are known 78,000 (valgrind), and
with what surrounds a statement the process 58 us of CPU against 31; rows out of JSON cost 151,000 (2026-11-23, 2 cores).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.queue.records import Added, EndFound
from chat.queue.tables import ROW_COUNTS, STATES, failure_of, json_text
from chat.queue.turn_writing import done, statements_of
from storage import ConstraintViolated, ResultTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.records import NewAction, Turn, TurnDone
    from chat.queue.tables import Tables

_KNOWN_MS = 60_000
_MOST_KNOWN_COUNT = 10_000
_NO_PRIORITY = 1_000


class Outbox:
    """Where the actions of a queue are kept."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known_lanes: dict[str, int] = {}
        """Lanes that are there, with their priority at most; one that was pruned since breaks a batch off."""
        self._known_since_ms = 0

    async def add(self, actions: Sequence[NewAction], *, limit: int) -> list[Added]:
        """Store `actions` in order, each unless it is there already or `limit` unfinished ones are.

        Raises:
            StorageError: None of them was stored, or nobody knows; doing it again does no harm.
        """
        if len(actions) > 1:
            try:
                await self._tables.write_all(self._together(actions, limit))
            except ConstraintViolated:
                self._known_lanes.clear()
            else:
                return [Added.STORED] * len(actions)
        return await self._add_one_by_one(actions, limit)

    def _together(self, actions: Sequence[NewAction], limit: int) -> list[tuple[str, Any]]:
        """Return what stores all of `actions`, or nothing at all if one of them is there or has no room."""
        known = self._known_lanes
        if actions[0].packed_ms - self._known_since_ms > _KNOWN_MS or len(known) > _MOST_KNOWN_COUNT:
            known.clear()
            self._known_since_ms = actions[0].packed_ms
        unknown = {}
        for new in actions:
            if known.get(new.lane_key, _NO_PRIORITY) > new.priority:
                known[new.lane_key] = new.priority
                unknown[new.lane_key] = (new.lane_key, new.topic, new.account, new.priority)
        named: list[tuple[str, Any]] = [("expect_room", (len(actions), limit))]
        if unknown:
            named.append(("open_lanes", (json_text(list(unknown.values())),)))
        rows: list[NewAction] = []
        for new in actions:
            rows.append(new)
            if new.needs:  # it may need those before it, and not those after it
                named += _rows_added(rows)
                named += entering(new)
                rows = []
        return named + _rows_added(rows)

    async def _add_one_by_one(self, actions: Sequence[NewAction], limit: int) -> list[Added]:
        lanes = {new.lane_key: (new.lane_key, new.topic, new.account, new.priority) for new in actions}
        named: list[tuple[str, Any]] = [("open_lane", lane) for lane in lanes.values()]
        places = []
        for new in actions:
            places.append(len(named))
            named.append(("add_action", (*added(new), limit)))
            if new.needs:
                named += entering(new)
        written = await self._tables.write_all(named)
        verdicts = [Added.STORED if written[place].changes else None for place in places]
        unclear = [new for new, verdict in zip(actions, verdicts, strict=True) if verdict is None]
        digests = await self.digests([new.client_id for new in unclear]) if unclear else {}
        return [
            verdict or why_not(digests.get(new.client_id), new)
            for new, verdict in zip(actions, verdicts, strict=True)
        ]

    async def turn(self, turn: Turn) -> TurnDone:
        """Write down what became of claims and make new ones, in one transaction.

        Raises:
            StorageError: Nothing was written, or nobody knows.
        """
        named = statements_of(turn)
        written = await self._tables.write_all(named)
        return done(turn, dict(zip([name for name, _ in named], written, strict=True)))

    async def renew(self, leases: Sequence[tuple[int, int]], until_ms: int) -> frozenset[int]:
        """Keep claims (lane and fence) from lapsing before `until_ms`; return the lanes whose claims still hold."""
        done = await self._tables.write("renew", (json_text(leases), until_ms))
        return frozenset(row[0] for row in done.rows)

    async def ends(self, client_ids: Sequence[str]) -> list[EndFound]:
        """Return those of `client_ids` that have ended."""
        try:
            rows = await self._tables.read("ends", (json_text(client_ids),))
        except ResultTooLarge:
            half = len(client_ids) // 2
            if half == 0:
                raise
            return await self.ends(client_ids[:half]) + await self.ends(client_ids[half:])
        return [
            EndFound(client_id, STATES[state], result, failure_of(error), carried_by)
            for client_id, state, result, error, carried_by in rows
        ]

    async def open_count(self) -> int:
        """Return how many actions have not ended."""
        ((count,),) = await self._tables.read("open_count")
        return int(count)

    async def digests(self, client_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the digests of those of `client_ids` that are stored."""
        rows = await self._tables.read("look_up", (json_text(client_ids),))
        return {client_id: digest for client_id, digest, _ in rows}


def added(new: NewAction) -> tuple[Any, ...]:
    """Return the parameters of a row of `add_actions`, which are those of `add_action` but for the limit."""
    return (
        new.client_id,
        new.lane_key,
        new.type,
        new.version,
        new.in_lane,
        new.due_ms,
        new.created_at_ms,
        new.not_before_at_ms,
        new.expires_at_ms,
        new.max_attempts,
        new.subject,
        new.target_id,
        new.digest,
        new.key_id,
        new.payload,
    )


def _rows_added(actions: Sequence[NewAction]) -> list[tuple[str, Any]]:
    named: list[tuple[str, Any]] = []
    first = 0
    for count in ROW_COUNTS:
        while len(actions) - first >= count:
            rows = actions[first : first + count]
            named.append((f"add_actions {count}", [value for new in rows for value in added(new)]))
            first += count
    return named


def entering(new: NewAction) -> list[tuple[str, Any]]:
    """Return what follows `add_action` for an action that needs others."""
    named: list[tuple[str, Any]] = [
        ("add_needs", (new.client_id, json_text(new.needs))),
        ("cancel_if_needed_is_gone", (new.client_id, new.created_at_ms)),
    ]
    if new.due_ms is None:
        named.append(("enter_unless_needing", (new.client_id, new.packed_ms)))
    return named


def why_not(digest: bytes | None, new: NewAction) -> Added:
    """Return why `new` was not stored, where `digest` is what stands under its client id."""
    if digest is None:
        return Added.FULL
    return Added.DUPLICATE if digest == new.digest else Added.CONFLICT
