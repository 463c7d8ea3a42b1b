"""The audit of a run of the matrix: what was promised against what happened. Pure, and exact: nothing is sampled.

An action that was acknowledged has exactly one effect, or is in the queue as failed for a reason the plan knows. Of two
actions in one lane the earlier one took effect first. What the queue tells of itself is true.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import msgspec

from chat.queue.states import FINAL, TRANSITIONS, State
from chat.testing.crash_matrix.plan import IN_ORDER, is_refused
from chat.testing.crash_matrix.server_log import CALLS
from chat.testing.crash_matrix.wire import BROKEN, NOT_LOGGED_IN, TOO_MANY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chat.testing.crash_matrix.evidence import Evidence, Stored, Times
    from chat.testing.crash_matrix.plan import Plan, Planned
    from chat.testing.crash_matrix.server_log import Record

_MOST_EXAMPLES_COUNT = 5
_ERRORS = frozenset({BROKEN, TOO_MANY, NOT_LOGGED_IN})


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit found."""

    seen: dict[str, int]
    """What happened, for information."""
    wrong: dict[str, int]
    """What must not happen, each with how often it did."""
    examples: dict[str, list[str]]
    """Of what went wrong: the first names, or what was said."""

    @property
    def is_clean(self) -> bool:
        """Nothing went wrong."""
        return not any(self.wrong.values())


def audited(plan: Plan, evidence: Evidence, broken: Iterable[str] = ()) -> Findings:
    """Return what is wrong with a run; `broken` is what its processes did that they should not have."""
    planned = {action.name: action for action in plan.all()}
    stored = {each.name: each for each in evidence.stored}
    effects = Counter(record.name for record in evidence.records if record.what == "effect")
    wrong = {
        "not enqueued in time": [name for name in planned if not _is_acknowledged(evidence.told.get(name))],
        "lost": [
            name
            for name, times in evidence.told.items()
            if _is_acknowledged(times) and _is_lost(planned[name], stored.get(name), effects[name])
        ],
        "doubled": [name for name, count in effects.items() for _ in range(count - 1)],
        "reordered": _reordered(evidence.records, stored),
        "done before what it needs": _too_early(planned, evidence.records),
        "called again blindly": _called_blindly(evidence.records),
        "called twice without a fault": [] if plan.is_rough else _called_twice(evidence.records),
        "left over": [each.name for each in evidence.stored if State(each.state) not in FINAL],
        "told wrongly": [
            each.name
            for each in evidence.stored
            if each.name in planned and _is_told_wrongly(planned, each, effects)
        ],
        "enqueued out of order": _out_of_order(evidence),
        "of unknown origin": [
            name for name in {*effects, *stored} if name not in planned or name not in evidence.told
        ],
        "ended twice": ["?"] * evidence.ended_twice_count,
        "impossible transitions": [
            f"{was} to {kind}, {count} times"
            for (was, kind), count in evidence.moves.items()
            if not _is_possible(was, kind)
        ],
        "counted wrongly": _miscounted(evidence, planned),
        "claims left over": ["?"] * evidence.claims_count,
        "conflicts": [record.name for record in evidence.records if record.what == "conflict"],
        "damage to the file": [] if evidence.integrity == "ok" else [evidence.integrity],
        "errors": [*broken, *evidence.errors],
    }
    return Findings(
        seen=_seen(evidence),
        wrong={what: len(names) for what, names in wrong.items()},
        examples={what: names[:_MOST_EXAMPLES_COUNT] for what, names in wrong.items() if names},
    )


def _seen(evidence: Evidence) -> dict[str, int]:
    whats: Counter[str] = Counter(record.what for record in evidence.records)
    states = Counter(each.state for each in evidence.stored)
    return {
        "actions acknowledged": sum(each.stored_ns is not None for each in evidence.told.values()),
        "calls": sum(whats[what] for what in CALLS),
        "effects": whats["effect"],
        "duplicates refused by the server": whats["duplicate"],
        "requests lost on the way": whats["lost"],
        "errors answered (500, 429, 401)": whats["error"],
        "refusals (400)": whats["refusal"],
        "uncertain: asked, was done": whats["known"],
        "uncertain: asked, was not": whats["unknown"],
        "logins": whats["login"],
        "done": states["done"],
        "failed, as they should or left to the user": states["failed"],
        "became uncertain": sum(count for (_, kind), count in evidence.moves.items() if kind == "uncertain"),
    }


def _is_acknowledged(times: Times | None) -> bool:
    return times is not None and times.stored_ns is not None


def _is_lost(action: Planned, found: Stored | None, effects_count: int) -> bool:
    if effects_count or (found is not None and State(found.state) not in FINAL):
        return False  # it is done, or left over
    return found is None or found.state != "failed" or not _may_fail(action)


def _may_fail(action: Planned) -> bool:
    return action.kind == "guarded" or (action.kind == "refused" and is_refused(action.name))


def _is_told_wrongly(planned: dict[str, Planned], found: Stored, effects: Counter[str]) -> bool:
    """Return whether the queue says that something was done that was not, or was not that was."""
    if State(found.state) not in FINAL:
        return False
    if found.state == "done":
        return effects[found.name] == 0
    action = planned[found.name]
    if action.kind == "guarded":
        return False  # it says that it does not know
    return effects[found.name] > 0 or not _may_fail(action)


def _reordered(records: list[Record], stored: dict[str, Stored]) -> list[str]:
    """Return the actions that took effect after a later one of their lane had."""
    latest: dict[str, int] = {}
    found = []
    for record in records:
        action = stored.get(record.name)
        if record.what != "effect" or record.kind not in IN_ORDER or action is None:
            continue
        if action.place < latest.get(action.lane, 0):
            found.append(record.name)
        latest[action.lane] = max(action.place, latest.get(action.lane, 0))
    return found


def _too_early(planned: dict[str, Planned], records: list[Record]) -> list[str]:
    done: set[str] = set()
    found = []
    for record in records:
        if record.what == "effect":
            action = planned.get(record.name)
            if action is not None and not done.issuperset(action.needs):
                found.append(record.name)
            done.add(record.name)
    return found


def _called_blindly(records: list[Record]) -> list[str]:
    """Return the guarded actions that were called again after a call whose outcome nobody could know."""
    unknown: Counter[str] = Counter()
    for record in records:
        if record.kind == "guarded" and record.what in CALLS and not record.is_echo:
            unknown[record.name] += record.status not in _ERRORS
    return [name for name, count in unknown.items() if count > 1]


def _called_twice(records: list[Record]) -> list[str]:
    """Return the actions that were called more than once, which no lane that belongs to one process does."""
    calls = Counter(record.name for record in records if record.what in CALLS)
    return [name for name, count in calls.items() if count > 1]


def _out_of_order(evidence: Evidence) -> list[str]:
    """Return the actions that stand in their lane before one that had been acknowledged when they were begun."""
    found = []
    lanes: dict[str, list[Stored]] = defaultdict(list)
    for each in evidence.stored:
        lanes[each.lane].append(each)
    for lane in lanes.values():
        begun_ns = 0
        numbers: dict[str, int] = {}
        for each in lane:
            times = evidence.told.get(each.name)
            if times is None:
                continue
            sender, _, number = each.name.partition("/")
            if int(number) < numbers.get(sender, -1) or (
                times.stored_ns is not None and times.stored_ns < begun_ns
            ):
                found.append(each.name)
            numbers[sender] = int(number)
            begun_ns = max(begun_ns, times.begun_ns)
    return found


def _is_possible(was: str | None, kind: str) -> bool:
    if was is None:
        return kind == "queued"
    before, after = State(was), State(kind)
    if after in TRANSITIONS[before]:
        return True
    return (
        State.LEASED in TRANSITIONS[before] and after in TRANSITIONS[State.LEASED]
    )  # it is not written down


def _miscounted(evidence: Evidence, planned: dict[str, Planned]) -> list[str]:
    actual: Counter[tuple[str, str]] = Counter()
    for each in evidence.stored:
        actual["", each.state] += 1
        actual["", "open"] += State(each.state) not in FINAL
        if each.name in planned:
            actual[planned[each.name].kind, each.state] += 1
    counted = evidence.counters
    return [
        f"{name or 'all'} {state}: {counted.get((name, state), 0)} instead of {actual[name, state]}"
        for name, state in {*actual, *counted}
        if counted.get((name, state), 0) != actual[name, state]
    ]
