"""What may happen to an action: pure functions over frozen values, and the table of all transitions.

    queued ──claim──▶ leased ──call──▶ calling ──answer──▶ done
      ▲                  │                │ failure ──▶ retry_wait | failed | expired | paused
      │                  │                └ crash, no answer ──▶ uncertain ──ask──▶ done | calling
      └──── back ────────┘

`leased` is a fact of the lane, not of the row: a claim covers a prefix of the lane, and writing each of its rows would
double the cost of a drain. So every action of a lapsed claim counts as called until the server says otherwise.

An attempt is a try that the server failed. No contact, a full server (429), an expired session and a stop cost none; a
crash costs one, to the action at the head of the claim, since an action that kills its process must not loop.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec
from msgspec.structs import replace

from chat.errors import Failure
from chat.queue.action_type import OnTargetGone, OnUncertain, Stuck
from chat.queue.retries import RetryPolicy


class State(StrEnum):
    """Where an action stands."""

    QUEUED = "queued"
    LEASED = "leased"
    CALLING = "calling"
    UNCERTAIN = "uncertain"
    RETRY_WAIT = "retry_wait"
    PAUSED = "paused"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DONE = "done"

    @property
    def is_final(self) -> bool:
        """Nothing happens to it any more unless somebody asks."""
        return self in FINAL


FINAL = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED, State.DONE})
WAITING = frozenset({State.QUEUED, State.RETRY_WAIT, State.PAUSED})
"""Certainly not at the server just now."""

_GIVEN_BACK = frozenset({State.QUEUED, State.RETRY_WAIT, State.PAUSED, State.UNCERTAIN})
_NOT_RECEIVED = Failure("answer_lost", "not_received", "no call got through to the server")
TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.LEASED, State.CALLING, State.EXPIRED, State.CANCELLED, State.FAILED}),
    State.LEASED: frozenset({State.CALLING, State.DONE}) | _GIVEN_BACK | FINAL,
    State.CALLING: frozenset({State.DONE}) | _GIVEN_BACK | FINAL,
    State.UNCERTAIN: frozenset({State.DONE, State.CALLING, State.LEASED}) | _GIVEN_BACK | FINAL,
    State.RETRY_WAIT: frozenset(
        {State.LEASED, State.CALLING, State.QUEUED, State.EXPIRED, State.CANCELLED, State.FAILED}
    ),
    State.PAUSED: frozenset(
        {State.LEASED, State.CALLING, State.QUEUED, State.EXPIRED, State.CANCELLED, State.FAILED}
    ),
    State.FAILED: frozenset({State.QUEUED, State.UNCERTAIN, State.CANCELLED}),
    State.EXPIRED: frozenset({State.QUEUED, State.UNCERTAIN}),
    State.CANCELLED: frozenset(),
    State.DONE: frozenset(),
}
"""From each state, where an action may go next."""

OUTCOME_NOT_TOLD = "outcome_not_told"
"""The code of what is given up because the server does not say whether it was done; asked again if it is tried again."""
OUTCOME_UNKNOWN = "outcome_unknown"
"""The code of what is given up because nobody is to ask the server (`on_uncertain="hold"`)."""
_UNTOLD = frozenset({OUTCOME_NOT_TOLD, OUTCOME_UNKNOWN})
MORE_QUESTIONS_COUNT = 10
"""So many questions more than tries may fail."""

LaneNext = Literal["goes on", "waits", "is blocked", "is offline", "waits for login"]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a type says about failures; see `ActionType`."""

    retries: RetryPolicy
    stuck: Stuck = "park"
    blocks_on_conflict: bool = False
    permanent: frozenset[int] | None = None
    on_target_gone: OnTargetGone = "fail"
    on_uncertain: OnUncertain = "ask"


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An action as far as the rules care."""

    state: State = State.QUEUED
    attempts: int = 0
    """Tries that the server failed."""
    in_lane: bool = True
    """It has its place in the lane; those behind it wait for it."""
    was_called: bool = False
    """The server may have seen it."""
    failure: Failure | None = None
    """Of the last try."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What becomes of an action, and of its lane."""

    entry: Entry
    lane: LaneNext = "goes on"
    wait_s: float = 0.0
    """Until the action (or with it the lane) is due again."""
    is_held: bool = False
    """Out of its lane, it waits until somebody lets it go on, and not for a time."""

    @property
    def has_due_time(self) -> bool:
        """The action itself is due again after `wait_s`, however short that is."""
        is_outside = not self.entry.in_lane and not self.entry.state.is_final
        return self.wait_s > 0 or (is_outside and not self.is_held)


def succeeded(entry: Entry) -> Verdict:
    """Return the end of an action that the server did."""
    return Verdict(entry=Entry(state=State.DONE, attempts=entry.attempts, in_lane=False, was_called=True))


def failed(entry: Entry, failure: Failure, rules: Rules, *, chance: float) -> Verdict:  # noqa: PLR0911 - one a kind
    """Return what follows from a try that ended with `failure`; `chance` (0 to 1) is for the jitter."""
    if failure.kind == "unreachable":
        state = State.UNCERTAIN if entry.state is State.UNCERTAIN else State.QUEUED
        return Verdict(entry=replace(entry, state=state, failure=failure), lane="is offline")
    if failure.kind == "auth":
        state = State.UNCERTAIN if entry.state is State.UNCERTAIN else State.PAUSED
        return Verdict(entry=replace(entry, state=state, failure=failure), lane="waits for login")
    tried = replace(entry, was_called=True, failure=failure)
    if failure.kind == "rate":
        state = State.UNCERTAIN if entry.state is State.UNCERTAIN else State.RETRY_WAIT
        return _waiting(replace(tried, state=state), rules, chance)
    if failure.kind == "target_gone" and rules.on_target_gone != "fail":
        if rules.on_target_gone == "succeed":
            return Verdict(entry=replace(tried, state=State.DONE, in_lane=False))
        return Verdict(entry=replace(tried, state=State.EXPIRED, in_lane=False))
    if failure.kind == "answer_lost":
        return _answer_lost(tried, rules, chance)
    if is_refusal(failure, rules):
        return given_up(tried, rules)
    tried = replace(tried, attempts=entry.attempts + 1)
    if entry.state is State.UNCERTAIN:
        return _asked_in_vain(tried, rules, chance)
    if rules.retries.is_spent(tried.attempts):
        return given_up(tried, rules)
    return _waiting(replace(tried, state=State.RETRY_WAIT), rules, chance)


def is_refusal(failure: Failure, rules: Rules) -> bool:
    """Return whether the server would say the same again, so that no further try makes sense."""
    if failure.kind in {"target_gone", "conflict"}:
        return True
    if failure.kind != "permanent":
        return False
    return rules.permanent is None or failure.status is None or failure.status in rules.permanent


def given_up(entry: Entry, rules: Rules) -> Verdict:
    """Return what becomes of an action that is not tried any more, as its type says for a stuck head."""
    is_conflict = entry.failure is not None and entry.failure.kind == "conflict"
    if rules.stuck == "block" or (rules.blocks_on_conflict and is_conflict):
        return Verdict(entry=replace(entry, state=State.FAILED), lane="is blocked")
    state = State.EXPIRED if rules.stuck == "expire" else State.FAILED
    return Verdict(entry=replace(entry, state=state, in_lane=False))


def lapsed(entry: Entry, *, is_head: bool) -> Entry:
    """Return an action whose claim ended without a word: its process crashed, or froze."""
    return replace(
        entry, state=State.UNCERTAIN, was_called=True, attempts=entry.attempts + (1 if is_head else 0)
    )


def unknown_to_server(entry: Entry, rules: Rules) -> Verdict:
    """Return what follows when the server was asked about an uncertain action and has never seen it."""
    if rules.retries.is_spent(entry.attempts):
        return given_up(replace(entry, failure=entry.failure or _NOT_RECEIVED), rules)
    return Verdict(entry=replace(entry, state=State.CALLING))


def stopped(entry: Entry, *, was_begun: bool) -> Entry:
    """Return an action whose handler was stopped with the queue: that costs no attempt."""
    return replace(entry, state=State.UNCERTAIN, was_called=True) if was_begun else entry


def said_of_an_old_session(verdict: Verdict) -> Verdict:
    """Return what follows when the session that had expired was replaced while the call was under way."""
    state = State.UNCERTAIN if verdict.entry.state is State.UNCERTAIN else State.QUEUED
    return Verdict(entry=replace(verdict.entry, state=state), lane="waits")


def retried(entry: Entry) -> Entry:
    """Return an action that somebody wants tried again from the beginning."""
    was_told = entry.failure is None or entry.failure.code != OUTCOME_NOT_TOLD
    state = State.QUEUED if entry.state is not State.UNCERTAIN and was_told else State.UNCERTAIN
    return replace(entry, state=state, attempts=0, in_lane=True)


def may_be_done(entry: Entry) -> bool:
    """Return whether the server may have done an action that was given up, so that it can't be taken back unseen."""
    return entry.state is State.FAILED and entry.failure is not None and entry.failure.code in _UNTOLD


def cancelled(entry: Entry) -> Entry:
    """Return an action that was taken back."""
    return replace(entry, state=State.CANCELLED, in_lane=False)


def expired(entry: Entry) -> Verdict:
    """Return an action that has become pointless."""
    return Verdict(entry=replace(entry, state=State.EXPIRED, in_lane=False))


def _asked_in_vain(entry: Entry, rules: Rules, chance: float) -> Verdict:
    """Return what follows when the question failed, not the action: it stays uncertain, and is not called a failure."""
    if rules.retries.is_spent(entry.attempts - MORE_QUESTIONS_COUNT):
        said = entry.failure.text if entry.failure else ""
        return given_up(replace(entry, failure=Failure("answer_lost", OUTCOME_NOT_TOLD, said)), rules)
    return _waiting(replace(entry, state=State.UNCERTAIN), rules, chance)


def _answer_lost(entry: Entry, rules: Rules, chance: float) -> Verdict:
    is_question = entry.state is State.UNCERTAIN and rules.on_uncertain == "ask"
    entry = replace(entry, attempts=entry.attempts + 1)
    if is_question:
        return _asked_in_vain(entry, rules, chance)
    if rules.on_uncertain == "hold":
        return given_up(entry, rules)
    if rules.on_uncertain == "repeat" and rules.retries.is_spent(entry.attempts):
        return given_up(entry, rules)
    return _waiting(replace(entry, state=State.UNCERTAIN), rules, chance)


def _waiting(entry: Entry, rules: Rules, chance: float) -> Verdict:
    asked_s = entry.failure.retry_after_s if entry.failure else None
    wait_s = rules.retries.delay_s(entry.attempts, chance, asked_s)
    if rules.stuck == "skip":
        return Verdict(entry=replace(entry, in_lane=False), wait_s=wait_s)
    return Verdict(entry=entry, lane="waits", wait_s=wait_s)
