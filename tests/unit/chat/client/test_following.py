"""Where streams stand, what answers mean, which numbers sends have, what listeners hear."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import (
    AnswerLost,
    AuthExpired,
    Conflict,
    ConnectionChanged,
    DeliveryError,
    EventsMissed,
    Permanent,
    RateLimited,
    TargetGone,
    Transient,
)
from chat.client.errors_of import WireError, delivery_error, wire_error
from chat.client.events import MAX_WAITING_COUNT, Listeners
from chat.client.following import Position, Step, Told, arrival, on_subscribed, reconnect_wait_s
from chat.client.numbering import Numbering


@given(st.integers(0, 50), st.integers(1, 60))
def test_an_event_is_next_known_or_beyond_a_gap(seq: int, came: int) -> None:
    kind = arrival(Position("e", seq), came)
    assert kind == ("next" if came - seq == 1 else "known" if came <= seq else "gap")


@pytest.mark.parametrize(
    ("position", "told", "step"),
    [
        (None, Told("e", 9, recovered=False), "begin anew"),
        (Position("old", 9), Told("e", 9, recovered=True), "begin anew"),
        (Position("e", 10), Told("e", 9, recovered=False), "begin anew"),
        (Position("e", 3), Told("e", 9, recovered=True), "follow"),
        (Position("e", 9), Told("e", 9, recovered=False), "follow"),
        (Position("e", 3), Told("e", 9, recovered=False), "refill"),
    ],
)
def test_what_is_missed_is_sent_or_read_or_all_is_new(
    position: Position | None, told: Told, step: Step
) -> None:
    assert on_subscribed(position, told) == step


@given(st.integers(0, 1_000), st.floats(0, 1))
def test_the_wait_before_connecting_again_is_anything_up_to_a_bound(failures: int, chance: float) -> None:
    wait_s = reconnect_wait_s(failures, chance, first_s=0.5, most_s=30)
    assert 0 <= wait_s <= min(30, 0.5 * 2 ** min(failures, 10))
    assert reconnect_wait_s(failures, 0) == 0


@pytest.mark.parametrize(
    ("status", "code", "class_", "kind"),
    [
        (401, "unauthenticated", "auth", AuthExpired),
        (403, "not_permitted", "permanent", Permanent),
        (404, "not_found", "permanent", TargetGone),
        (404, "gone", "permanent", TargetGone),
        (404, "route_not_found", "permanent", Permanent),
        (409, "client_id_reused", "conflict", Conflict),
        (409, "out_of_turn", "transient", Transient),
        (412, "version_conflict", "conflict", Conflict),
        (429, "too_often", "rate", RateLimited),
        (500, "internal", "unknown", AnswerLost),
        (507, "storage_full", "transient", Transient),
        (400, "whatever", "a class of tomorrow", AnswerLost),
    ],
)
def test_an_error_is_what_its_class_and_code_say(
    status: int, code: str, class_: str, kind: type[DeliveryError]
) -> None:
    body = {
        "error": {
            "code": code,
            "class": class_,
            "message": "404 unauthenticated conflict",
            "details": {"x": 1},
        }
    }
    error = delivery_error(wire_error(status, msgspec.json.encode(body)), status)
    assert type(error) is kind
    assert (error.code, error.status, error.details) == (code, status, {"x": 1})


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthExpired), (404, Permanent), (429, RateLimited), (502, AnswerLost), (503, Transient)],
)
def test_a_page_of_a_proxy_is_what_its_status_says(status: int, kind: type[DeliveryError]) -> None:
    error = delivery_error(wire_error(status, b"<html>"), status)
    assert (type(error), error.code) == (kind, f"http_{status}")


def test_what_the_server_asks_to_wait_is_waited_and_costs_no_try() -> None:
    error = delivery_error(WireError(code="draining", class_="transient", retry_after_ms=250), 503)
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 0.25


def test_sends_are_numbered_in_each_room_and_keep_their_number_when_tried_again() -> None:
    numbering = Numbering()
    first = numbering.number("room", "a")
    assert numbering.number("room", "a") == first
    numbering.answered("room", "a")
    second, elsewhere = numbering.number("room", "b"), numbering.number("hall", "c")
    assert [first.number, second.number, elsewhere.number] == [1, 2, 1]
    assert first.session == second.session != elsewhere.session
    assert Numbering().number("room", "a").session != first.session


def test_sends_that_go_together_are_numbered_in_their_order_whichever_asks_first() -> None:
    numbering = Numbering()
    third = numbering.number("room", "c", ("a", "b", "c"))
    first = numbering.number("room", "a", ("a", "b", "c"))
    assert [first.number, third.number] == [1, 3]
    assert numbering.is_first("room", "a")
    assert not numbering.is_first("room", "b")
    numbering.answered("room", "a")
    assert numbering.is_first("room", "b")
    assert numbering.number("room", "b").number == 2
    assert numbering.number("room", "d", ("b", "c", "d")) == (first.session, 4)


@pytest.mark.parametrize("following", [("c",), ("a", "c"), ("d", "b", "c"), ("b", "d"), ("c", "b")])
def test_numbers_begin_anew_where_one_that_was_given_will_not_come_or_come_later(
    following: tuple[str, ...],
) -> None:
    numbering = Numbering()
    former = numbering.number("room", "a", ("a", "b", "c"))
    numbering.answered("room", "a")
    given = [numbering.number("room", each, following) for each in following]
    assert [each.number for each in given] == list(range(1, len(following) + 1))
    assert {each.session for each in given}.isdisjoint({former.session})


async def test_a_listener_that_is_too_slow_is_told_how_much_it_missed() -> None:
    listeners = Listeners()
    slow, other = listeners.listen(), listeners.listen()
    other.close()
    for number in range(MAX_WAITING_COUNT + 3):
        listeners.tell(ConnectionChanged(is_connected=number % 2 == 0))
    assert await anext(slow) == EventsMissed(count=3)
    assert await anext(slow) == ConnectionChanged(is_connected=False)
    assert not other._waiting
    assert ConnectionChanged(is_connected=True).name == "chat.connection.changed"
