"""A turn as statements, and what they return as what the turn did.

Whatever a turn returns comes in one row a statement, as JSON. In a thread, stepping to a row gives the interpreter lock
away and waits for it again, behind handlers that hold it for up to 5 ms; and rows are checked and copied one by one.

With a row for each report, lane and action the writer's thread took 16 to 29 us of CPU an action that was claimed and done,
with one row for all 14 to 17 (2026-11-23, interleaved, without a disk, 2 cores under load).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.queue.records import Claimed, Lease, TurnDone
from chat.queue.states import FINAL, State
from chat.queue.tables import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.queue.records import Turn
    from storage import Written

_decode_ids = msgspec.json.Decoder(list[int]).decode
_decode_lanes = msgspec.json.Decoder(list[tuple[int, str, str, int, int | None, int]]).decode
_decode_actions = msgspec.json.Decoder(
    list[tuple[int, int, str, str, int, State, int, bool, int | None, int, int | None, int, str | None, str]]
).decode


def statements_of(turn: Turn) -> list[tuple[str, Any]]:
    """Return the statements of `turn`, in order, with their parameters."""
    named: list[tuple[str, Any]] = [
        ("unclaim", (turn.owner, number, turn.now_ms)) for number in turn.lost_numbers
    ]
    named.append(("enter_due", (turn.now_ms,)))
    reported = [(each.id, each.lane_id, each.fence) for each in turn.finished]
    reported += [(each.id, each.lane_id, each.fence) for each in turn.settled]
    if reported:
        named.append(("refused", (json_text(reported),)))
    if turn.finished:
        finished = [(each.id, each.lane_id, each.fence, each.result) for each in turn.finished]
        named.append(("finish", (json_text(finished), turn.at_ms)))
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
                json_text(each.failure) if each.failure else None,
                each.result,
                each.state in FINAL and not each.in_lane,
            )
            for each in turn.settled
        ]
        named.append(("settle", (json_text(settled), turn.at_ms)))
    if turn.releases:
        releases = [
            (each.lane_id, each.fence, each.due_ms, each.blocked_by, each.careful_count)
            for each in turn.releases
        ]
        named.append(("release", (json_text(releases),)))
    named += [("pause_account", (account, turn.at_ms)) for account in turn.paused_accounts]
    if turn.calls:
        named.append(("note_calls", (json_text(turn.calls), turn.at_ms)))
    if turn.refused_cancels:
        named.append(("refuse_cancel", (json_text(turn.refused_cancels),)))
    claim, owner, number = turn.claim, turn.owner, turn.number
    if claim is not None:
        asked = (
            owner,
            number,
            turn.now_ms,
            claim.until_ms,
            claim.lane_count,
            claim.action_count,
            json_text(claim.topics),
            claim.ageing_ms,
            claim.careful_count,
        )
        named += [
            ("claim", asked),
            ("note_lapsed", (owner, number, turn.at_ms)),
            ("note_heads", (owner, number, turn.at_ms)),
            ("claimed_lanes", (owner, number)),
            ("claimed", (owner, number)),
        ]
    named += [("cancels_asked", (owner,)), ("next_due", (json_text(turn.topics),))]
    return named


def done(turn: Turn, written: Mapping[str, Written]) -> TurnDone:
    """Return what `turn` did; `written` is what its statements returned, by name."""
    accepted = {each.id for each in turn.finished} | {each.id for each in turn.settled}
    if "refused" in written:
        accepted.difference_update(_decode_ids(written["refused"].rows[0][0]))
    next_due = written["next_due"].rows[0][0]
    asked = [(row[0], row[1]) for row in written["cancels_asked"].rows]
    if turn.claim is None:
        return TurnDone(accepted_ids=frozenset(accepted), next_due_ms=next_due, cancels_asked=asked)
    return TurnDone(
        accepted_ids=frozenset(accepted),
        leases=_leases(written["claimed_lanes"].rows[0][0], written["claimed"].rows[0][0]),
        lapsed_count=written["note_lapsed"].changes,
        next_due_ms=next_due,
        cancels_asked=asked,
    )


def _leases(lanes: str, claimed: str) -> list[Lease]:
    """Return the lanes in the order of their ranks, each with its actions in theirs."""
    in_order = sorted(_decode_lanes(lanes), key=lambda row: row[5])
    leases = {row[0]: Lease(row[0], row[1], row[2], row[3], row[4] is not None) for row in in_order}
    for row in sorted(_decode_actions(claimed)):
        leases[row[1]].actions.append(Claimed(*row[:13], bytes.fromhex(row[13])))
    return list(leases.values())
