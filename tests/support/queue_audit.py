"""Reads a queue's file beside the queue, and says what does not hold of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from chat.queue.states import TRANSITIONS, State

if TYPE_CHECKING:
    from pathlib import Path

_ACTIONS = """
SELECT action.id, client_id, type, state, in_lane, action.due_ms, carried_by, finished_at_ms, lane_id, lane.owner,
       lane.due_ms, lane.blocked_by, action.not_before_at_ms,
       EXISTS (SELECT 1 FROM dependency WHERE action_id = action.id), result, lane.key, attempts, lane.claimed_to,
       error ->> 'code'
FROM action JOIN lane ON lane.id = lane_id ORDER BY action.id
"""
_COUNTS = """
SELECT '', state, count(*) FROM action GROUP BY state
UNION ALL SELECT type, state, count(*) FROM action GROUP BY type, state
UNION ALL SELECT '', 'open', count(*) FROM action WHERE state NOT IN ('failed', 'expired', 'cancelled', 'done')
"""


class Row(NamedTuple):
    """An action as the file has it."""

    id: int
    client_id: str
    type: str
    state: State
    in_lane: int
    due_ms: int | None
    carried_by: str | None
    finished_at_ms: int | None
    lane_id: int
    owner: str | None
    lane_due_ms: int | None
    blocked_by: int | None
    not_before_at_ms: int | None
    needs: int
    result: str | None
    lane: str
    attempts: int
    claimed_to: int | None
    failure_code: str | None


class Audit:
    """The file of one queue, and what was seen of it before."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._fences: dict[int, int] = {}
        self._seen_seq = 0
        self._attempts: dict[str, int] = {}
        self.kinds: dict[str, list[State]] = {}
        """What has happened to each action, by its client id."""
        self.rows: dict[str, Row] = {}

    def close(self) -> None:
        self._connection.close()

    def check(self) -> None:
        """Fail if the file is not as it may be."""
        with self._connection:  # all of one moment
            self.rows = {row.client_id: row for row in self._actions()}
            self._check_events()
            self._check_counters()
            self._check_fences()
        for row in self.rows.values():
            assert self.kinds[row.client_id][-1] is row.state, row
            self._check_waits_for_something(row)

    def claimed_by(self, owners: set[str], now_ms: int) -> list[Row]:
        """Return the actions that `owners` have claimed, and whose claims have not lapsed."""
        self.check()
        return [
            row
            for row in self.rows.values()
            if row.owner in owners
            and (row.lane_due_ms or 0) > now_ms
            and row.in_lane
            and row.id <= (row.claimed_to or 0)
        ]

    def check_untouched(self, before: list[Row]) -> None:
        """Fail if anything was done to the actions in `before`, but that their owner noted that it calls them."""
        self.check()
        for row in before:
            now = self.rows[row.client_id]
            assert (now.owner, now.attempts, now.finished_at_ms) == (row.owner, row.attempts, None), (
                row,
                now,
            )
            assert now.state in {row.state, State.CALLING}, (row, now)

    def owner_of(self, client_id: str) -> str | None:
        """Return who has the claim of an action's lane now."""
        sql = "SELECT owner FROM lane WHERE id = (SELECT lane_id FROM action WHERE client_id = ?)"
        return self._connection.execute(sql, (client_id,)).get  # type: ignore[no-any-return] # one value

    def _actions(self) -> list[Row]:
        return [Row._make(row)._replace(state=State(row[3])) for row in self._rows(_ACTIONS)]

    def _check_events(self) -> None:
        sql = "SELECT seq, kind, was, client_id, attempts, error ->> 'kind' FROM event WHERE seq > ? ORDER BY seq"
        for seq, kind, was, client_id, attempts, failure in self._rows(sql, (self._seen_seq,)):
            assert seq == self._seen_seq + 1
            self._seen_seq = seq
            if client_id is None:
                continue
            before = self.kinds.setdefault(client_id, [])
            assert was == (before[-1] if before else None)
            if before:
                assert _may_follow(before[-1], State(kind)), (client_id, before, kind)
            self._check_attempts(client_id, State(kind), attempts, failure)
            before.append(State(kind))

    def _check_attempts(self, client_id: str, kind: State, attempts: int, failure: str | None) -> None:
        """What the server failed costs one try, and no contact, no session and a busy server none.

        Of those that were uncertain before, questions and retries by hand have changed the count without an event.
        """
        before = self._attempts.get(client_id, 0)
        was = self.kinds[client_id][-1:]
        if was == [State.UNCERTAIN]:
            pass
        elif kind is State.RETRY_WAIT and failure == "transient":
            assert attempts == before + 1, client_id
        elif kind in {State.RETRY_WAIT, State.PAUSED} and failure in {"rate", "auth"}:
            assert attempts == before, client_id
        self._attempts[client_id] = attempts

    def _check_counters(self) -> None:
        told = {(name, state): count for name, state, count in self._rows("SELECT * FROM counter") if count}
        assert told == {(name, state): count for name, state, count in self._rows(_COUNTS) if count}

    def _check_fences(self) -> None:
        for lane, fence, owner, claim in self._rows("SELECT id, fence, owner, claim FROM lane"):
            assert fence >= self._fences.get(lane, 0)
            assert (owner is None) == (claim is None)
            self._fences[lane] = fence

    def _check_waits_for_something(self, row: Row) -> None:
        """An action that has not ended is due, in its lane or by itself, or there is something that it waits for."""
        if row.blocked_by is not None and row.owner is None:
            blocking = next(each for each in self.rows.values() if each.id == row.blocked_by)
            assert (blocking.state, blocking.in_lane) == (State.FAILED, 1)
        if row.in_lane:
            assert row.finished_at_ms is None, row
            assert row.lane_due_ms is not None or row.blocked_by is not None, row
        elif row.finished_at_ms is None:
            assert row.due_ms is not None or row.needs, row
        assert row.state.is_final or row.finished_at_ms is None, row

    def _rows(self, sql: str, params: tuple[Any, ...] = ()) -> list[Any]:
        return self._connection.execute(sql, params).fetchall()


def _may_follow(before: State, after: State) -> bool:
    """Return whether `after` may follow, also by way of a claim, which is not written down for each action."""
    allowed = TRANSITIONS[before]
    return after in allowed or (State.LEASED in allowed and after in TRANSITIONS[State.LEASED])
