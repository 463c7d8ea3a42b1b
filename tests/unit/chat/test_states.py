from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.errors import Failure, FailureKind
from chat.queue import states
from chat.queue.action_type import OnTargetGone, OnUncertain, Stuck
from chat.queue.retries import RetryPolicy
from chat.queue.states import FINAL, TRANSITIONS, Entry, Rules, State

UNDER_WAY = (State.LEASED, State.CALLING, State.UNCERTAIN)

failures = st.builds(
    Failure,
    kind=st.sampled_from(get_args(FailureKind)),
    code=st.just("code"),
    status=st.sampled_from([None, 400, 403, 404, 409, 422, 429, 500, 503]),
    retry_after_s=st.none() | st.floats(0.1, 1000),
)
rules = st.builds(
    Rules,
    retries=st.builds(RetryPolicy, max_attempts=st.none() | st.integers(1, 4)),
    stuck=st.sampled_from(get_args(Stuck)),
    blocks_on_conflict=st.booleans(),
    permanent=st.sampled_from([None, frozenset(), frozenset({404}), frozenset({400, 403, 404})]),
    on_target_gone=st.sampled_from(get_args(OnTargetGone)),
    on_uncertain=st.sampled_from(get_args(OnUncertain)),
)
entries = st.builds(
    Entry,
    state=st.sampled_from(UNDER_WAY),
    attempts=st.integers(0, 5),
    in_lane=st.just(True),
    was_called=st.booleans(),
)


def of(kind: FailureKind, **facts: object) -> Failure:
    return Failure(kind=kind, code=kind, **facts)  # type: ignore[arg-type]  # its own fields


def rules_with(**facts: object) -> Rules:
    return Rules(retries=RetryPolicy(base_delay_s=2.0), **facts)  # type: ignore[arg-type]  # its own fields


@given(entries, failures, rules, st.floats(0, 1))
def test_a_failure_leads_only_where_the_table_allows(
    entry: Entry, failure: Failure, its_rules: Rules, chance: float
) -> None:
    verdict = states.failed(entry, failure, its_rules, chance=chance)

    assert verdict.entry.state in TRANSITIONS[entry.state]
    assert verdict.entry.attempts - entry.attempts in {0, 1}
    assert verdict.wait_s >= 0
    assert verdict.entry.state is State.DONE or verdict.entry.failure == failure


@given(entries, failures, rules, st.floats(0, 1))
def test_an_action_out_of_its_lane_has_ended_or_comes_back_by_itself(
    entry: Entry, failure: Failure, its_rules: Rules, chance: float
) -> None:
    verdict = states.failed(entry, failure, its_rules, chance=chance)

    if not verdict.entry.in_lane:
        assert verdict.lane == "goes on"
        assert verdict.entry.state in FINAL or its_rules.stuck == "skip"
    elif verdict.entry.state in FINAL:
        assert verdict.lane == "is blocked"
    else:
        assert verdict.lane in {"waits", "is offline", "waits for login"}


@pytest.mark.parametrize("kind", ["unreachable", "auth", "rate"])
@given(entry=entries, its_rules=rules, chance=st.floats(0, 1))
def test_no_contact_no_session_and_a_full_server_cost_no_attempt(
    kind: FailureKind, entry: Entry, its_rules: Rules, chance: float
) -> None:
    verdict = states.failed(entry, of(kind, retry_after_s=3.0), its_rules, chance=chance)

    assert verdict.entry.attempts == entry.attempts
    assert verdict.entry.state not in FINAL


def test_a_server_error_costs_an_attempt_until_they_are_spent() -> None:
    entry = Entry(state=State.CALLING)
    waits = []
    for _ in range(2):
        verdict = states.failed(entry, of("transient", status=500), rules_with(), chance=1.0)
        assert (verdict.entry.state, verdict.lane) == (State.RETRY_WAIT, "waits")
        waits.append(verdict.wait_s)
        entry = Entry(state=State.CALLING, attempts=verdict.entry.attempts)

    last = states.failed(entry, of("transient", status=500), rules_with(), chance=1.0)

    assert waits == [2.0, 4.0]
    assert (last.entry.state, last.entry.attempts, last.entry.in_lane) == (State.FAILED, 3, False)


@pytest.mark.parametrize(
    ("stuck", "state", "in_lane", "lane"),
    [
        ("block", State.FAILED, True, "is blocked"),
        ("park", State.FAILED, False, "goes on"),
        ("skip", State.FAILED, False, "goes on"),
        ("supersede", State.FAILED, False, "goes on"),
        ("expire", State.EXPIRED, False, "goes on"),
    ],
)
def test_a_refusal_applies_at_once_what_the_type_says_of_a_stuck_head(
    stuck: Stuck, state: State, in_lane: bool, lane: str
) -> None:
    verdict = states.failed(
        Entry(state=State.CALLING), of("permanent", status=403), rules_with(stuck=stuck), chance=0.5
    )

    assert (verdict.entry.state, verdict.entry.in_lane, verdict.lane) == (state, in_lane, lane)
    assert verdict.entry.attempts == 0


def test_a_conflict_blocks_the_lane_where_the_type_says_so() -> None:
    its_rules = rules_with(stuck="supersede", blocks_on_conflict=True)

    conflict = states.failed(Entry(state=State.CALLING), of("conflict", status=409), its_rules, chance=0.5)
    refusal = states.failed(Entry(state=State.CALLING), of("permanent", status=403), its_rules, chance=0.5)

    assert (conflict.lane, refusal.lane) == ("is blocked", "goes on")


def test_a_refusal_that_the_type_does_not_count_as_final_is_tried_again() -> None:
    verdict = states.failed(
        Entry(state=State.CALLING),
        of("permanent", status=403),
        rules_with(permanent=frozenset({404})),
        chance=0.5,
    )

    assert (verdict.entry.state, verdict.entry.attempts) == (State.RETRY_WAIT, 1)


def test_what_is_skipped_does_not_hold_its_lane_while_it_waits_to_try_again() -> None:
    verdict = states.failed(Entry(state=State.CALLING), of("transient"), rules_with(stuck="skip"), chance=1.0)

    assert (verdict.entry.in_lane, verdict.lane, verdict.wait_s) == (False, "goes on", 2.0)


@pytest.mark.parametrize(
    ("meaning", "state"), [("drop", State.EXPIRED), ("succeed", State.DONE), ("fail", State.FAILED)]
)
def test_a_target_that_is_gone_means_what_the_type_says(meaning: OnTargetGone, state: State) -> None:
    verdict = states.failed(
        Entry(state=State.CALLING), of("target_gone"), rules_with(on_target_gone=meaning), chance=0.5
    )

    assert (verdict.entry.state, verdict.lane) == (state, "goes on")


def test_a_lost_answer_makes_an_action_uncertain_and_never_repeats_one_that_must_not_be() -> None:
    lost = of("answer_lost")

    asked = states.failed(Entry(state=State.CALLING), lost, rules_with(on_uncertain="ask"), chance=0.5)
    held = states.failed(Entry(state=State.CALLING), lost, rules_with(on_uncertain="hold"), chance=0.5)

    assert (asked.entry.state, asked.lane) == (State.UNCERTAIN, "waits")
    assert held.entry.state is State.FAILED


def test_an_action_that_the_server_has_never_seen_is_called_unless_its_tries_are_spent() -> None:
    again = states.unknown_to_server(Entry(state=State.UNCERTAIN, attempts=2), rules_with())
    spent = states.unknown_to_server(Entry(state=State.UNCERTAIN, attempts=3), rules_with())

    assert (again.entry.state, spent.entry.state) == (State.CALLING, State.FAILED)


def test_a_crash_costs_the_head_an_attempt_and_nobody_else() -> None:
    head = states.lapsed(Entry(state=State.CALLING, attempts=1), is_head=True)
    next_one = states.lapsed(Entry(state=State.LEASED), is_head=False)

    assert (head.state, head.attempts) == (State.UNCERTAIN, 2)
    assert (next_one.state, next_one.attempts) == (State.UNCERTAIN, 0)


def test_a_stop_costs_no_attempt_and_leaves_what_had_not_begun_as_it_was() -> None:
    begun = states.stopped(Entry(state=State.CALLING, attempts=1), was_begun=True)
    unbegun = states.stopped(Entry(state=State.QUEUED), was_begun=False)

    assert (begun.state, begun.attempts) == (State.UNCERTAIN, 1)
    assert unbegun == Entry(state=State.QUEUED)


def test_an_uncertain_action_stays_so_while_the_question_gets_no_answer() -> None:
    for failure in (of("unreachable"), of("auth"), of("rate", retry_after_s=1.0), of("transient")):
        verdict = states.failed(Entry(state=State.UNCERTAIN), failure, rules_with(), chance=0.5)
        assert verdict.entry.state is State.UNCERTAIN


def test_no_state_is_without_a_row_in_the_table_and_only_done_and_cancelled_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for state, after in TRANSITIONS.items() if not after} == {State.DONE, State.CANCELLED}


def test_what_is_outside_of_its_lane_is_due_again_however_short_it_has_to_wait() -> None:
    verdict = states.failed(Entry(state=State.CALLING), of("transient"), rules_with(stuck="skip"), chance=0.0)

    assert (verdict.wait_s, verdict.entry.in_lane, verdict.has_due_time) == (0.0, False, True)


def test_questions_that_fail_do_not_make_an_action_a_failed_one() -> None:
    entry = Entry(state=State.UNCERTAIN, attempts=1)
    asked_count = 0
    while entry.state is State.UNCERTAIN:
        kind: FailureKind = "transient" if asked_count % 2 else "answer_lost"
        entry = states.failed(entry, of(kind, status=500), rules_with(), chance=0.5).entry
        asked_count += 1

    assert asked_count == 2 + states.MORE_QUESTIONS_COUNT
    assert entry.failure is not None
    assert (entry.state, entry.failure.code) == (State.FAILED, states.OUTCOME_NOT_TOLD)
    assert states.retried(entry).state is State.UNCERTAIN


def test_what_a_replaced_session_said_is_tried_again_at_once() -> None:
    expired = states.failed(Entry(state=State.CALLING, attempts=1), of("auth"), rules_with(), chance=0.5)
    again = states.said_of_an_old_session(expired)

    assert (again.entry.state, again.entry.attempts, again.lane, again.wait_s) == (
        State.QUEUED,
        1,
        "waits",
        0.0,
    )
