"""What actions and events make of messages and spaces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.client.effects import (
    OnMessage,
    Pending,
    message_after,
    message_with,
    room_with,
    space_after,
    space_with,
)
from chat.client.views import ChatMessage, ChatSpace, Reaction, SpaceMember, StreamEvent
from chat.queue import payloads

ME, OTHER, ROOM = "1", "2", "10"
HERS = ChatMessage(id="5", seq=1, client_id="a", sender=OTHER, content="hello", created_at_ms=1)
MINE = ChatMessage(id="6", seq=2, client_id="b", sender=ME, content="hi", created_at_ms=2)


def pending(payload: Any, client_id: str = "p") -> Pending:
    return Pending(client_id=client_id, type="any", payload=payload, at_ms=9)


def on(kind: Any, message: str = "5", **more: Any) -> Any:
    return kind(room_id=ROOM, message_id=message, **more)


def test_a_new_message_is_shown_last_and_as_pending() -> None:
    shown = room_with(
        [HERS, MINE], [pending(payloads.SendMessage(room_id=ROOM, content="new"), "c")], ROOM, ME
    )
    assert shown == [
        HERS,
        MINE,
        ChatMessage(client_id="c", sender=ME, content="new", created_at_ms=9, state="pending"),
    ]


def test_a_message_that_has_come_back_is_shown_once() -> None:
    assert room_with([MINE], [pending(payloads.SendMessage(room_id=ROOM, content="hi"), "b")], ROOM, ME) == [
        MINE
    ]


def test_another_users_client_id_is_no_name_for_me() -> None:
    edit = pending(on(payloads.EditMessage, "a", content="taken over"))
    assert room_with([HERS], [edit], ROOM, ME) == [HERS]


@pytest.mark.parametrize("name", ["6", "b"])
def test_a_message_of_mine_is_named_by_its_id_or_its_client_id(name: str) -> None:
    (shown,) = room_with([MINE], [pending(on(payloads.EditMessage, name, content="better"))], ROOM, ME)
    assert (shown.content, shown.edited_at_ms, shown.state) == ("better", 9, "pending")


def test_what_is_about_another_room_or_an_unknown_message_shows_nothing() -> None:
    others = [
        pending(payloads.SendMessage(room_id="11", content="elsewhere")),
        pending(on(payloads.PinMessage, "404")),
        pending(payloads.JoinSpace(space_id="3")),
    ]
    assert room_with([HERS], others, ROOM, ME) == [HERS]


def test_actions_on_a_message_that_is_itself_under_way_show_on_it() -> None:
    actions = [
        pending(payloads.SendMessage(room_id=ROOM, content="one"), "c"),
        pending(on(payloads.EditMessage, "c", content="two"), "d"),
        pending(on(payloads.React, "c", emoji="+1"), "e"),
    ]
    (shown,) = room_with([], actions, ROOM, ME)
    assert (shown.content, shown.reactions) == ("two", (Reaction("+1", ME),))


def test_nothing_but_its_deletion_changes_a_deleted_message() -> None:
    gone = message_with(
        replace(MINE, is_pinned=True, reactions=(Reaction("+1", OTHER),)), on(payloads.DeleteMessage), ME, 7
    )
    assert (gone.content, gone.deleted_at_ms, gone.reactions, gone.is_pinned) == (None, 7, (), False)
    for kind, more in (
        (payloads.EditMessage, {"content": "x"}),
        (payloads.React, {"emoji": "x"}),
        (payloads.PinMessage, {}),
    ):
        assert message_with(gone, on(kind, **more), ME, 8) == gone


ON_MESSAGE: st.SearchStrategy[OnMessage] = st.one_of(
    st.builds(lambda text: on(payloads.EditMessage, "b", content=text), st.text(max_size=3)),
    st.builds(
        lambda emoji, is_on: on(payloads.React, "b", emoji=emoji, is_on=is_on),
        st.sampled_from("+-"),
        st.booleans(),
    ),
    st.sampled_from(
        [on(payloads.PinMessage, "b"), on(payloads.UnpinMessage, "b"), on(payloads.DeleteMessage, "b")]
    ),
)


@settings(max_examples=60)
@given(st.lists(ON_MESSAGE, max_size=6))
def test_what_is_shown_before_the_answers_is_what_is_there_after_them(actions: list[OnMessage]) -> None:
    under_way = [pending(payload, f"p{place}") for place, payload in enumerate(actions)]
    (shown,) = room_with([MINE], under_way, ROOM, ME)
    stored = MINE
    for payload in actions:
        stored = message_with(stored, payload, ME, 9)
    assert replace(shown, state="sent") == stored


def event(
    kind: str, *, body: dict[str, Any] | None = None, message: dict[str, Any] | None = None
) -> StreamEvent:
    return StreamEvent(stream=ROOM, seq=3, kind=kind, actor=OTHER, body=body, message=message)


PLAIN: dict[str, Any] = {
    "id": "5", "seq": 1, "client_id": "a", "sender": OTHER, "content": "hello", "reply_to": None, "mentions": None,
    "created_at_ms": 1, "edited_at_ms": None, "deleted_at_ms": None,
}  # fmt: skip


def test_an_event_brings_the_message_as_it_stands_and_keeps_the_marks_that_are_known() -> None:
    marked = replace(HERS, reactions=(Reaction("+1", ME),), is_pinned=True)
    after = message_after(
        marked, event("message.edited", message={**PLAIN, "content": "better", "edited_at_ms": 4})
    )
    assert after == replace(marked, content="better", edited_at_ms=4)
    assert message_after(None, event("message.created", message=PLAIN)) == HERS


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("reaction.added", {"emoji": "+1"}, replace(HERS, reactions=(Reaction("+1", OTHER),))),
        ("reaction.removed", {"emoji": "+1"}, HERS),
        ("pin.added", None, replace(HERS, is_pinned=True)),
        ("pin.removed", None, HERS),
    ],
)
def test_marks_are_told_one_by_one(kind: str, body: dict[str, Any] | None, expected: ChatMessage) -> None:
    assert message_after(HERS, event(kind, body=body, message=PLAIN)) == expected


def test_a_deleted_message_has_lost_everything_and_an_event_about_none_changes_none() -> None:
    marked = replace(HERS, reactions=(Reaction("+1", ME),), is_pinned=True)
    gone = message_after(
        marked, event("message.deleted", message={**PLAIN, "content": None, "deleted_at_ms": 7})
    )
    assert gone == replace(HERS, content=None, deleted_at_ms=7)
    assert message_after(HERS, event("room.updated")) is HERS


SPACE = ChatSpace(id="3", settings={"name": "Home"}, version=1, members={OTHER: SpaceMember()})


def test_members_come_are_muted_and_go_alike_by_action_and_by_event() -> None:
    for payload, told in (
        (payloads.MuteUser(space_id="3", user_id=OTHER), event("member.muted", body={"user": OTHER})),
        (payloads.UnmuteUser(space_id="3", user_id=OTHER), event("member.unmuted", body={"user": OTHER})),
        (payloads.KickUser(space_id="3", user_id=OTHER), event("member.kicked", body={"user": OTHER})),
        (payloads.JoinSpace(space_id="3"), event("member.joined", body={"user": ME, "role": "member"})),
        (payloads.LeaveSpace(space_id="3"), event("member.left", body={"user": ME})),
    ):
        assert space_with(SPACE, payload, ME) == space_after(SPACE, told, ME)
    changed = space_after(SPACE, event("member.changed", body={"user": OTHER, "role": "admin"}), ME)
    assert changed.members[OTHER].role == "admin"
    assert changed.is_member


def test_settings_of_a_space_change_field_by_field() -> None:
    update = payloads.UpdateSpace(space_id="3", fields={"description": "warm"})
    assert space_with(SPACE, update, ME).settings == {"name": "Home", "description": "warm"}
    told = event("space.updated", body={"settings": {"name": "Castle"}, "version": 2})
    assert space_after(SPACE, told, ME) == replace(SPACE, settings={"name": "Castle"}, version=2)
    assert space_after(SPACE, event("space.opened", body={"is_open": True}), ME) == SPACE
