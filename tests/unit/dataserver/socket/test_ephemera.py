"""Typing and presence: told once for many, and not at all when nothing is new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataserver.socket.ephemera import TYPING_EVERY_S, Presence, Typing


def test_who_types_on_is_told_once_in_a_while() -> None:
    typing = Typing()
    assert [typing.note(1, 7, at) for at in (0.0, 0.5, TYPING_EVERY_S)] == [True, False, True]


def test_those_who_type_together_are_told_together() -> None:
    typing = Typing()
    for room, user in ((1, 8), (1, 7), (2, 7)):
        typing.note(room, user, 0.0)
    assert typing.take(0.1) == {1: [7, 8], 2: [7]}
    assert typing.take(0.2) == {}


def test_what_was_told_long_ago_is_forgotten() -> None:
    typing = Typing()
    typing.note(1, 7, 0.0)
    typing.take(TYPING_EVERY_S)
    assert typing._told_at == {}


def test_who_goes_and_comes_back_at_once_is_no_news() -> None:
    presence, here = Presence(), {(1, 7): "online"}
    presence.mark(1, 7)
    assert presence.take(lambda *each: here.get(each)) == {1: {7: "online"}}
    presence.mark(1, 7)  # it went
    presence.mark(1, 7)  # and came back
    assert presence.take(lambda *each: here.get(each)) == {}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from([None, "online", "away"]))))
def test_whoever_takes_note_of_all_that_is_told_knows_who_is_there(
    steps: list[tuple[int, int, str | None]],
) -> None:
    presence, here, known = Presence(), {}, {}
    for space, user, status in steps:
        here[space, user] = status
        presence.mark(space, user)
        for told_space, statuses in presence.take(lambda *each: here.get(each)).items():
            for told_user, told in statuses.items():
                known[told_space, told_user] = None if told == "offline" else told
    assert {key: value for key, value in known.items() if value} == {key: v for key, v in here.items() if v}
    for space in (1, 2, 3):
        assert presence.told(space) == {u: v for (s, u), v in here.items() if s == space and v}
