"""The queue's rules as data, for whoever holds the same rules in another language: `queue_rules.json`.

python -m tests.vectors.queue_rules     writes the file anew from the rules
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from chat.client.numbering import Numbering
from chat.errors import Failure
from chat.queue import lanes, states
from chat.queue.action_type import ActionType
from chat.queue.built_in import BUILT_IN
from chat.queue.client_ids import client_id
from chat.queue.coalescing import Pending, plan
from chat.queue.lanes import Lane
from chat.queue.retries import RetryPolicy
from chat.queue.rules import RulesOf
from chat.queue.settings import QueueSettings
from chat.queue.states import Entry, Rules, State, Verdict

FILE = Path(__file__).with_name("queue_rules.json")
_ACCOUNT = "a/b%c"
_TYPE_FIELDS = (
    "name",
    "topic",
    "key",
    "stuck",
    "blocks_on_conflict",
    "max_attempts",
    "base_delay_s",
    "permanent",
    "on_target_gone",
    "on_uncertain",
    "coalescing",
    "subject",
    "coalesces_across",
    "is_on",
    "target",
    "waits_for_target",
    "debounce_s",
    "expires_after_s",
    "priority",
    "success_notice",
    "failure_notice",
)
_FAILURES = (
    Failure("unreachable", "unreachable"),
    Failure("answer_lost", "timed_out", "no answer"),
    Failure("transient", "queue_full", "later", 503, 4.0),
    Failure("transient", "internal", "", 500),
    Failure("rate", "too_often", "slow down", 429, 7.5),
    Failure("auth", "unauthenticated", "", 401),
    Failure("permanent", "invalid_value", "too long", 400),
    Failure("permanent", "not_permitted", "not_permitted", 403),
    Failure("permanent", "unprocessable", "", 422),
    Failure("permanent", "no_handler"),
    Failure("conflict", "version_conflict", "changed", 412),
    Failure("target_gone", "gone", "deleted", 404),
)
_TRIED = (State.CALLING, State.UNCERTAIN)
_ODD_RULES = (
    Rules(retries=RetryPolicy(max_attempts=2), on_uncertain="repeat"),
    Rules(retries=RetryPolicy(), on_uncertain="hold", stuck="skip"),
    Rules(retries=RetryPolicy(max_attempts=None, base_delay_s=0.5, max_delay_s=8.0), stuck="block"),
)


def vectors() -> dict[str, Any]:
    """Return all cases, each with what the rules make of it; the same at every call."""
    return {
        "types": [_type(each) for each in BUILT_IN],
        "rules": [_rules(each) for each in _all_rules()],
        "addresses": list(_addresses()),
        "failures": [_failure(each) for each in _FAILURES],
        "failed": list(_failed()),
        "turns": list(_turns()),
        "delays": list(_delays()),
        "claims": list(_claims()),
        "rests": list(_rests()),
        "plans": list(_plans(random.Random(7))),  # noqa: S311 - a fixed sequence
        "numbers": list(_numbers()),
        "client_ids": [
            {"wall_ms": wall_ms, "chance": chance.to_bytes(10, "big").hex(), "id": client_id(wall_ms, chance)}
            for wall_ms, chance in (
                (0, 0),
                (1_763_900_000_123, 2**80 - 1),
                (2**48 - 1, 0x0123456789ABCDEF0123),
            )
        ],
    }


def _all_rules() -> list[Rules]:
    of = RulesOf(QueueSettings()).of
    return [*(of(each, None) for each in BUILT_IN), *_ODD_RULES]


def _type(kind: ActionType) -> dict[str, Any]:
    found = {name: getattr(kind, name) for name in _TYPE_FIELDS}
    found["permanent"] = None if kind.permanent is None else sorted(kind.permanent)
    found["key"], found["subject"] = list(kind.key), list(kind.subject)
    return found


def _rules(rules: Rules) -> dict[str, Any]:
    return {
        "retries": {
            name: getattr(rules.retries, name)
            for name in ("max_attempts", "base_delay_s", "max_delay_s", "max_retry_after_s")
        },
        "stuck": rules.stuck,
        "blocks_on_conflict": rules.blocks_on_conflict,
        "permanent": None if rules.permanent is None else sorted(rules.permanent),
        "on_target_gone": rules.on_target_gone,
        "on_uncertain": rules.on_uncertain,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {name: getattr(failure, name) for name in ("kind", "code", "message", "status", "retry_after_s")}


def _entry(entry: Entry) -> list[Any]:
    """Return an entry in short: its failure by its place in `failures`, if it is one of those."""
    failure: Any = entry.failure
    failure = _FAILURES.index(failure) if failure in _FAILURES else _failure(failure)
    return [entry.state.value, entry.attempts, entry.in_lane, entry.was_called, failure]


def _verdict(verdict: Verdict) -> list[Any]:
    return [*_entry(verdict.entry), verdict.lane, verdict.wait_s]


def _addresses() -> Iterator[dict[str, Any]]:
    for kind in BUILT_IN:
        fields = {"room_id": "7/8", "message_id": "m%", "emoji": "+1", "space_id": "9", "user_id": "42"}
        fields |= {"content": "x", "fields": {}, "keys": {}, "version": 1}  # type: ignore[dict-item]
        names = kind.payload.__struct_fields__
        payload = kind.payload(**{name: value for name, value in fields.items() if name in names})
        yield {
            "type": kind.name,
            "payload": {name: value for name, value in fields.items() if name in names},
            "account": _ACCOUNT,
            "lane": kind.lane_of(payload, _ACCOUNT),
            "subject": kind.subject_of(payload, _ACCOUNT),
        }


def _failed() -> Iterator[dict[str, Any]]:
    every = _all_rules()
    for place, rules in enumerate(every):
        if rules in every[:place]:
            continue
        for state, failure, attempts in itertools.product(_TRIED, _FAILURES, (0, 2, 12)):
            entry = Entry(state=state, attempts=attempts)
            yield {
                "rules": place,
                "entry": _entry(entry),
                "failure": _FAILURES.index(failure),
                "chance": 0.25,
                "then": _verdict(states.failed(entry, failure, rules, chance=0.25)),
            }


def _turns() -> Iterator[dict[str, Any]]:
    """Yield what else happens to actions."""
    told = Failure("answer_lost", states.OUTCOME_NOT_TOLD, "503")
    for state, failure, attempts in itertools.product(State, (None, _FAILURES[2], told), (0, 3)):
        entry = Entry(state=state, attempts=attempts, failure=failure)
        for place in (0, 3, len(BUILT_IN)):
            unknown = states.unknown_to_server(entry, _all_rules()[place])
            yield _turn("unknown_to_server", entry, _verdict(unknown), rules=place)
        yield _turn("succeeded", entry, _verdict(states.succeeded(entry)))
        yield _turn("expired", entry, _verdict(states.expired(entry)))
        yield _turn(
            "said_of_an_old_session", entry, _verdict(states.said_of_an_old_session(Verdict(entry=entry)))
        )
        yield _turn("retried", entry, _entry(states.retried(entry)))
        yield _turn("cancelled", entry, _entry(states.cancelled(entry)))
        for flag in (True, False):
            yield _turn("lapsed", entry, _entry(states.lapsed(entry, is_head=flag)), flag=flag)


def _turn(name: str, entry: Entry, then: list[Any], **more: Any) -> dict[str, Any]:
    return {"turn": name, "entry": _entry(entry), **more, "then": then}


def _delays() -> Iterator[dict[str, Any]]:
    policy = RetryPolicy(base_delay_s=2.0, max_delay_s=300.0, max_retry_after_s=600.0)
    asked: tuple[float | None, ...] = (None, 0.0, -1.0, 5.0, 10_000.0)
    for attempts, chance, retry_after_s in itertools.product(
        (0, 1, 2, 5, 9, 70, 5000), (0.0, 0.5, 1.0), asked
    ):
        yield {
            "policy": {
                "max_attempts": 3,
                "base_delay_s": 2.0,
                "max_delay_s": 300.0,
                "max_retry_after_s": 600.0,
            },
            "attempts": attempts,
            "chance": chance,
            "retry_after_s": retry_after_s,
            "delay_s": policy.delay_s(attempts, chance, retry_after_s),
            "is_spent": policy.is_spent(attempts),
        }


def _lane(lane: Lane) -> list[Any]:
    return [getattr(lane, name) for name in lane.__struct_fields__]


def _claims() -> Iterator[dict[str, Any]]:
    """Yield claims of prefixes of lanes, and what becomes of the lane when they are given back."""
    owners = (None, "lost")
    for owner, careful, held, most in itertools.product(owners, (0, 5), ([], [4, 5, 6, 9]), (1, 3)):
        lane = Lane(
            due_ms=100, fence=3, owner=owner, claimed_to=5 if owner else None, careful=careful, priority=1
        )
        made = lanes.claimed(lane, "me", 900, held, most)
        for fence, rest, has_more in itertools.product(
            (3, 4), (lanes.Rest(120), lanes.Rest(120, 4), lanes.Rest(500, None, 1)), (True, False)
        ):
            then = lanes.released(
                made,
                fence,
                due_ms=rest.due_ms,
                blocked_by=rest.blocked_by,
                careful=rest.careful,
                has_more=has_more,
            )
            yield {
                "lane": _lane(lane),
                "now_ms": 99 + fence % 2,
                "is_claimable": lanes.is_claimable(lane, 99 + fence % 2),
                "rank_ms": lanes.rank_ms(lane, 50),
                "in_lane": held,
                "most": most,
                "claimed": _lane(made),
                "fence": fence,
                "rest": {"due_ms": rest.due_ms, "blocked_by": rest.blocked_by, "careful": rest.careful},
                "has_more": has_more,
                "released": _lane(then),
            }


def _rests() -> Iterator[dict[str, Any]]:
    nexts: tuple[states.LaneNext, ...] = ("goes on", "waits", "is blocked", "is offline", "waits for login")
    for lane, wait_s in itertools.product(nexts, (0.0, 1.2345)):
        verdict = Verdict(entry=Entry(), lane=lane, wait_s=wait_s)
        rest = lanes.rest_after(verdict, 8, 1_000)
        yield {
            "verdict": _verdict(verdict),
            "then": {"due_ms": rest.due_ms, "blocked_by": rest.blocked_by, "careful": rest.careful},
        }


def _numbers() -> Iterator[dict[str, Any]]:
    """Yield tries of messages of one room, each answered before another one begins, and the number each goes out under."""
    for tries in ("a", "aa", "aab", "abbbc", "aabbccd"):
        numbering = Numbering()
        given = []
        for place, each in enumerate(tries):
            given.append(numbering.number("1", each))
            if each != tries[place + 1 : place + 2]:
                numbering.answered("1", each)
        assert len({each.session for each in given}) == 1
        yield {"tries": list(tries), "numbers": [each.number for each in given]}


def _plans(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield new actions and the pending ones about the same thing, drawn at random."""
    by_name = {each.name: each for each in BUILT_IN}
    families = (
        ("edit-message", ("send-message", "edit-message")),
        ("delete-message", ("send-message", "edit-message", "delete-message", "reaction", "pin-message")),
        ("reaction", ("reaction",)),
        ("pin-message", ("pin-message", "unpin-message")),
        ("unpin-message", ("pin-message", "unpin-message")),
        ("mute-user", ("mute-user", "unmute-user")),
        ("leave-space", ("join-space", "leave-space")),
        ("save-user-config", ("save-user-config",)),
        ("update-profile", ("update-profile",)),
        ("update-space", ("update-space",)),
        ("sync-space-keys", ("sync-space-keys",)),
        ("kick-user", ("kick-user",)),
    )
    for name, others in families:
        for _ in range(15):
            kind = by_name[name]
            pending = [
                Pending(
                    id=place + 1,
                    client_id="m1"
                    if (type_ := by_name[chance.choice(others)]).name == "send-message"
                    else f"c{place}",
                    type=type_.name,
                    payload=_payload(type_, chance),
                    was_called=chance.random() < 0.3,
                )
                for place in range(chance.randrange(4))
            ]
            payload, is_another_open = _payload(kind, chance), chance.random() < 0.3
            made = plan(kind, payload, pending, is_another_open=is_another_open)
            yield {
                "type": name,
                "payload": _plain(payload),
                "is_another_open": is_another_open,
                "pending": [
                    {
                        "id": each.id,
                        "client_id": each.client_id,
                        "type": each.type,
                        "was_called": each.was_called,
                        "payload": _plain(each.payload),
                    }
                    for each in pending
                ],
                "then": {
                    "carrier": made.carrier and made.carrier.id,
                    "payload": _plain(made.payload),
                    "replaced": [each.id for each in made.replaced],
                    "annihilated": [each.id for each in made.annihilated],
                    "is_nothing": made.is_nothing,
                },
            }


def _payload(kind: ActionType, chance: random.Random) -> msgspec.Struct:
    drawn = {
        "room_id": "1",
        "message_id": "m1",
        "content": f"text {chance.randrange(100)}",
        "emoji": "+1",
        "is_on": chance.random() < 0.5,
        "was": chance.choice([None, True, False]),
        "fields": {chance.choice("abc"): chance.randrange(9)},
        "base_version": chance.choice([None, 1, 2]),
        "base": chance.choice([None, {chance.choice("abc"): chance.randrange(9)}]),
        "space_id": "2",
        "user_id": "3",
        "keys": {"2": f"key {chance.randrange(100)}"},
        "version": chance.randrange(9),
        "reply_to_id": None,
    }
    names = kind.payload.__struct_fields__
    return kind.payload(**{name: value for name, value in drawn.items() if name in names})


def _plain(payload: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(payload, name) for name in payload.__struct_fields__}


def text() -> str:
    """Return the file's text: one case a line."""
    return lines(vectors())


def lines(vectors: Mapping[str, Iterable[Any]]) -> str:
    """Return cases as JSON, one a line."""
    parts = []
    for name, cases in vectors.items():
        written = ",\n".join(msgspec.json.encode(case).decode() for case in cases)
        parts.append(f'"{name}": [\n{written}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text())
