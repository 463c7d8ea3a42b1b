"""The outbox in a SQLite file, which several processes may share.

One call here is one transaction, on disk when it returns; the rules of a state and its event in one transaction are
triggers of the schema. Figures stand in `runner`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import Failure
from chat.queue.outbox import Added, Claimed, EndFound, Lease, TurnDone
from chat.queue.states import FINAL, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chat.queue.outbox import NewAction, Turn
    from storage import Database, Written

_STATES = {str(state): state for state in State}

_encode = msgspec.json.Encoder().encode


class SqliteOutbox:
    """See `Outbox`."""

    def __init__(self, database: Database, statements: Mapping[str, str]) -> None:
        self._database = database
        self._sql = statements

    async def add(self, actions: Sequence[NewAction], *, limit: int) -> list[Added]:
        """See `Outbox`."""
        sql = self._sql
        lanes = {new.lane_key: (new.lane_key, new.topic, new.account, new.priority) for new in actions}
        statements: list[tuple[str, Any]] = [(sql["open_lane"], lane) for lane in lanes.values()]
        add = sql["add_action"]
        statements += [
            (
                add,
                (
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
                    limit,
                ),
            )
            for new in actions
        ]
        written = await self._database.execute_batch(statements)
        verdicts = [Added.STORED if each.changes else None for each in written[len(lanes) :]]
        unclear = [new for new, verdict in zip(actions, verdicts, strict=True) if verdict is None]
        digests = await self._digests(unclear) if unclear else {}
        return [
            verdict or _why_not(digests.get(new.client_id), new)
            for new, verdict in zip(actions, verdicts, strict=True)
        ]

    async def turn(self, turn: Turn) -> TurnDone:
        """See `Outbox`."""
        names, statements = self._of_turn(turn)
        written = dict(zip(names, await self._database.execute_batch(statements), strict=True))
        accepted = frozenset(
            row[0] for name in ("finish", "settle") if name in written for row in written[name].rows
        )
        next_due = written["next_due"].rows[0][0]
        if turn.claim is None:
            return TurnDone(accepted_ids=accepted, next_due_ms=next_due)
        return TurnDone(
            accepted_ids=accepted,
            leases=_leases(written["claim"], written["claimed"]),
            lapsed_count=len(written["note_lapsed"].rows),
            next_due_ms=next_due,
        )

    async def renew(self, leases: Sequence[tuple[int, int]], until_ms: int) -> frozenset[int]:
        """See `Outbox`."""
        done = await self._database.execute(self._sql["renew"], (_json(leases), until_ms))
        return frozenset(row[0] for row in done.rows)

    async def ends(self, client_ids: Sequence[str]) -> list[EndFound]:
        """See `Outbox`."""
        rows = await self._database.query(self._sql["ends"], (_json(client_ids),))
        return [
            EndFound(client_id, _STATES[state], result, _failure(error), carried_by)
            for client_id, state, result, error, carried_by in rows
        ]

    def _of_turn(self, turn: Turn) -> tuple[list[str], list[tuple[str, Any]]]:
        named: list[tuple[str, Any]] = [("enter_due", (turn.now_ms,))]
        if turn.finished:
            finished = [(each.id, each.lane_id, each.fence, each.result) for each in turn.finished]
            named.append(("finish", (_json(finished), turn.at_ms)))
        if turn.settled:
            settled = [
                (
                    each.id,
                    each.lane_id,
                    each.fence,
                    each.state,
                    each.in_lane,
                    each.due_ms,
                    each.attempts,
                    each.was_called,
                    _json(each.failure) if each.failure else None,
                    each.result,
                    each.state in FINAL and not each.in_lane,
                )
                for each in turn.settled
            ]
            named.append(("settle", (_json(settled), turn.at_ms)))
        if turn.releases:
            releases = [
                (each.lane_id, each.fence, each.due_ms, each.blocked_by, each.careful_count)
                for each in turn.releases
            ]
            named.append(("release", (_json(releases),)))
        if turn.calls:
            named.append(("note_calls", (_json(turn.calls), turn.at_ms)))
        claim, owner, number = turn.claim, turn.owner, turn.number
        if claim is not None:
            asked = (
                owner,
                number,
                turn.now_ms,
                claim.until_ms,
                claim.lane_count,
                claim.action_count,
                _json(claim.topics),
                claim.ageing_ms,
                claim.careful_count,
            )
            named += [
                ("claim", asked),
                ("note_lapsed", (owner, number, turn.at_ms)),
                ("note_heads", (owner, number, turn.at_ms)),
                ("claimed", (owner, number)),
            ]
        named.append(("next_due", (_json(turn.topics),)))
        return [name for name, _ in named], [(self._sql[name], params) for name, params in named]

    async def _digests(self, actions: Sequence[NewAction]) -> dict[str, bytes]:
        ids = _json([new.client_id for new in actions])
        rows = await self._database.query(self._sql["look_up"], (ids,))
        return {client_id: digest for client_id, digest, _ in rows}


def _why_not(digest: bytes | None, new: NewAction) -> Added:
    if digest is None:
        return Added.FULL
    return Added.DUPLICATE if digest == new.digest else Added.CONFLICT


def _leases(claim: Written, claimed: Written) -> list[Lease]:
    leases = {row[0]: Lease(row[0], row[1], row[2], row[3], row[4] is not None) for row in claim.rows}
    for row in claimed.rows:
        action = Claimed(*row[:5], _STATES[row[5]], *row[6:])  # type: ignore[call-arg] # a row has as many
        leases[action.lane_id].actions.append(action)
    return list(leases.values())


def _failure(error: str | None) -> Failure | None:
    return None if error is None else msgspec.json.decode(error, type=Failure)


def _json(value: Any) -> str:
    return _encode(value).decode()
