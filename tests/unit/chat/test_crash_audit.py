"""The audit of the crash matrix finds each way in which a queue can break its word."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from chat.testing.crash_matrix.audit import Findings, audited
from chat.testing.crash_matrix.evidence import Evidence, Stored, Times
from chat.testing.crash_matrix.plan import TYPES, Plan, Planned, is_refused
from chat.testing.crash_matrix.report import Report, as_json, as_table, reported
from chat.testing.crash_matrix.server_log import Record, What
from chat.testing.crash_matrix.supervisor import Tally

PLAN = Plan(action_count=300, process_count=2)
ACTIONS = list(PLAN.all())
TYPE_OF = {each.name: each for each in TYPES}


def record(what: What, action: Planned, status: int = 200, caller: str = "worker-1#1") -> Record:
    return Record(
        what,
        action.name,
        action.name,
        action.kind,
        action.payload.key,
        action.account,
        caller,
        0,
        status,
    )


def is_bad(action: Planned) -> bool:
    return action.kind == "refused" and is_refused(action.name)


def clean() -> Evidence:
    """Return what a run leaves in which all went well: all enqueued one after the other, and then done."""
    states = ["failed" if is_bad(action) else "done" for action in ACTIONS]
    counters: dict[tuple[str, str], int] = {}
    for action, state in zip(ACTIONS, states, strict=True):
        for name in ("", action.kind):
            counters[name, state] = counters.get((name, state), 0) + 1
    return Evidence(
        told={action.name: Times(2 * place, 2 * place + 1) for place, action in enumerate(ACTIONS)},
        records=[
            record("refusal", action, 400) if is_bad(action) else record("effect", action)
            for action in ACTIONS
        ],
        stored=[
            Stored(action.name, place, state, TYPE_OF[action.kind].lane_of(action.payload, action.account))
            for place, (action, state) in enumerate(zip(ACTIONS, states, strict=True), 1)
        ],
        counters=counters,
        moves={
            (None, "queued"): 300,
            ("queued", "calling"): 300,
            ("calling", "done"): 290,
            ("queued", "done"): 1,
        },
    )


def first(fact: Callable[[Planned], bool]) -> int:
    """Return the place of the first action of which `fact` holds."""
    return next(place for place, action in enumerate(ACTIONS) if fact(action))


ORDERED = first(lambda action: action.kind == "ordered")
SAME_LANE = first(
    lambda action: (
        action.kind == "ordered"
        and action.payload.key == ACTIONS[ORDERED].payload.key
        and action.name != ACTIONS[ORDERED].name
    )
)
GUARDED = first(lambda action: action.kind == "guarded")
BAD = first(is_bad)
NEEDY = first(lambda action: bool(action.needs))


def with_stored(evidence: Evidence, place: int, **changes: object) -> Evidence:
    stored = list(evidence.stored)
    stored[place] = replace(stored[place], **changes)
    return replace(evidence, stored=stored)


def without_effect(evidence: Evidence, place: int) -> Evidence:
    return replace(evidence, records=evidence.records[:place] + evidence.records[place + 1 :])


def with_records(evidence: Evidence, *records: Record) -> Evidence:
    return replace(evidence, records=[*evidence.records, *records])


def swapped(evidence: Evidence, one: int, other: int) -> Evidence:
    records = list(evidence.records)
    records[one], records[other] = records[other], records[one]
    return replace(evidence, records=records)


def out_of_order(evidence: Evidence) -> Evidence:
    """Let the later of two of a lane have been acknowledged before the earlier one was begun."""
    told = {**evidence.told, ACTIONS[SAME_LANE].name: Times(-2, -1)}
    return replace(evidence, told=told)


def backwards(evidence: Evidence) -> Evidence:
    """Let two of one sender and lane stand the wrong way round."""
    stored = list(evidence.stored)
    one, other = stored[ORDERED], stored[SAME_LANE]
    stored[ORDERED], stored[SAME_LANE] = replace(other, place=one.place), replace(one, place=other.place)
    told = dict.fromkeys(evidence.told, Times(0, 1))
    return swapped(replace(evidence, stored=stored, told=told), ORDERED, SAME_LANE)


CASES: dict[str, tuple[Callable[[Evidence], Evidence], set[str]]] = {
    "done, says the queue, and it is not": (
        lambda evidence: without_effect(evidence, ORDERED),
        {"lost", "told wrongly"},
    ),
    "gone from the queue, and not done": (
        lambda evidence: replace(
            without_effect(evidence, ORDERED),
            stored=evidence.stored[:ORDERED] + evidence.stored[ORDERED + 1 :],
        ),
        {"lost", "counted wrongly"},
    ),
    "given up without a reason": (
        lambda evidence: with_stored(without_effect(evidence, ORDERED), ORDERED, state="failed"),
        {"lost", "told wrongly", "counted wrongly"},
    ),
    "failed, says the queue, and it is done": (
        lambda evidence: with_stored(evidence, ORDERED, state="failed"),
        {"told wrongly", "counted wrongly"},
    ),
    "refused for good, and done in spite of it": (
        lambda evidence: replace(
            evidence,
            records=[*evidence.records[:BAD], record("effect", ACTIONS[BAD]), *evidence.records[BAD + 1 :]],
        ),
        {"told wrongly"},
    ),
    "done twice": (
        lambda evidence: with_records(evidence, evidence.records[GUARDED]),
        {"doubled", "called again blindly"},
    ),
    "a later one first": (lambda evidence: swapped(evidence, ORDERED, SAME_LANE), {"reordered"}),
    "done before what it needs": (
        lambda evidence: replace(
            evidence, records=[evidence.records[NEEDY], *without_effect(evidence, NEEDY).records]
        ),
        {"done before what it needs"},
    ),
    "called again blindly": (
        lambda evidence: with_records(evidence, record("duplicate", ACTIONS[GUARDED])),
        {"called again blindly"},
    ),
    "not at an end": (
        lambda evidence: with_stored(evidence, ORDERED, state="retry_wait"),
        {"left over", "counted wrongly"},
    ),
    "stored before an older one": (out_of_order, {"enqueued out of order"}),
    "stored before an older one of the same sender": (backwards, {"enqueued out of order"}),
    "done, and nobody wanted it": (
        lambda evidence: with_records(
            evidence, Record("effect", "nobody/1", "nobody/1", "loose", "key-1", "account-1", "x#1", 0, 200)
        ),
        {"of unknown origin"},
    ),
    "ended twice": (lambda evidence: replace(evidence, ended_twice_count=1), {"ended twice"}),
    "done, and then called": (
        lambda evidence: replace(evidence, moves={**evidence.moves, ("done", "calling"): 1}),
        {"impossible transitions"},
    ),
    "new, and done at once": (
        lambda evidence: replace(evidence, moves={**evidence.moves, (None, "done"): 1}),
        {"impossible transitions"},
    ),
    "counted wrongly": (
        lambda evidence: replace(evidence, counters={**evidence.counters, ("", "open"): 1}),
        {"counted wrongly"},
    ),
    "a claim that nobody gave back": (
        lambda evidence: replace(evidence, claims_count=1),
        {"claims left over"},
    ),
    "a client id used for two actions": (
        lambda evidence: with_records(evidence, record("conflict", ACTIONS[ORDERED])),
        {"conflicts"},
    ),
    "a damaged file": (
        lambda evidence: replace(evidence, integrity="wrong # of entries"),
        {"damage to the file"},
    ),
    "an error in a log": (lambda evidence: replace(evidence, errors=["chat.queue_broke"]), {"errors"}),
}


def wrong_in(findings: Findings) -> set[str]:
    return {what for what, count in findings.wrong.items() if count}


def test_a_run_in_which_all_went_well_is_clean() -> None:
    findings = audited(PLAN, clean())
    assert (wrong_in(findings), findings.examples, findings.is_clean) == (set(), {}, True)


@pytest.mark.parametrize("case", CASES)
def test_the_audit_finds_what_is(case: str) -> None:
    spoilt, expected = CASES[case]
    findings = audited(PLAN, spoilt(clean()))
    assert (wrong_in(findings), findings.is_clean) == (expected, False)


def test_without_faults_no_action_is_called_twice() -> None:
    calm = Plan(action_count=300, process_count=2, is_rough=False)
    assert audited(calm, clean()).is_clean

    findings = audited(calm, with_records(clean(), record("duplicate", ACTIONS[ORDERED])))
    assert findings.examples == {"called twice without a fault": [ACTIONS[ORDERED].name]}


def test_a_process_that_ended_by_itself_is_an_error() -> None:
    findings = audited(PLAN, clean(), ["worker-1#3 ended by itself with 1"])
    assert findings.examples == {"errors": ["worker-1#3 ended by itself with 1"]}


def test_a_guarded_action_may_be_called_again_after_an_error_and_may_be_left_to_the_user() -> None:
    evidence = clean()
    again = [
        record("error", ACTIONS[GUARDED], 500),
        record("error", ACTIONS[GUARDED], 429),
        *evidence.records,
    ]
    assert audited(PLAN, replace(evidence, records=again)).is_clean

    name = ACTIONS[GUARDED].kind
    counters = dict(evidence.counters)
    for key in (("", "done"), (name, "done")):
        counters[key] -= 1
    for key in (("", "failed"), (name, "failed")):
        counters[key] = counters.get(key, 0) + 1
    left = with_stored(replace(evidence, counters=counters), GUARDED, state="failed")
    assert audited(PLAN, left).is_clean
    assert audited(PLAN, without_effect(left, GUARDED)).is_clean


def test_a_run_that_was_broken_off_is_not_clean_though_nothing_was_lost() -> None:
    evidence = clean()
    last = ACTIONS[-1]
    counters = dict(evidence.counters)
    for key in (("", evidence.stored[-1].state), (last.kind, evidence.stored[-1].state)):
        counters[key] -= 1
    findings = audited(
        PLAN,
        replace(
            evidence,
            told={name: times for name, times in evidence.told.items() if name != last.name},
            records=evidence.records[:-1],
            stored=evidence.stored[:-1],
            counters=counters,
        ),
    )
    assert (wrong_in(findings), findings.examples) == (
        {"not enqueued in time"},
        {"not enqueued in time": [last.name]},
    )


def report_of(findings: Findings) -> Report:
    tally = Tally()
    tally.kills.update({"added": 2, "the server": 1})
    tally.done.update({"starts": 5, "freezes": 1, "stops": 1})
    return reported(PLAN, tally, findings, 12.34)


def test_a_report_tells_people_and_programs_the_same() -> None:
    report = report_of(audited(PLAN, CASES["done twice"][0](clean())))
    table = as_table(report)
    assert "300 actions, 2 processes" in table
    assert f"doubled: {ACTIONS[GUARDED].name}" in table
    assert table.endswith("NOT CLEAN")
    assert msgspec.json.decode(as_json(report), type=Report) == report
    assert as_table(report_of(audited(PLAN, clean()))).endswith("clean")
