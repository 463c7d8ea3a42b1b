from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.queue import payloads
from chat.queue.actions import ActionType, ActionTypes
from chat.queue.coalescing import Pending, Plan, plan
from tests.support.chat_server_model import ServerModel

TYPES = ActionTypes()
MESSAGES = ["m1", "m2", "old"]

message_ids = st.sampled_from(MESSAGES)
emojis = st.sampled_from(["+1", "heart"])
fields = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), min_size=1)
spaces = st.sampled_from(["s1", "s2"])
in_room = {"room_id": st.just("r"), "message_id": message_ids}
about_member = {"space_id": spaces, "user_id": st.just("u")}
any_payload = st.one_of(
    st.builds(payloads.SendMessage, room_id=st.just("r"), content=st.text("xyz", max_size=2)),
    st.builds(payloads.EditMessage, content=st.text("efg", min_size=1, max_size=2), **in_room),
    st.builds(payloads.DeleteMessage, **in_room),
    st.builds(payloads.React, emoji=emojis, is_on=st.booleans(), **in_room),
    st.builds(payloads.PinMessage, **in_room),
    st.builds(payloads.UnpinMessage, **in_room),
    st.builds(payloads.SaveUserConfig, fields=fields),
    st.builds(payloads.UpdateProfile, fields=fields),
    st.builds(payloads.UpdateSpace, space_id=spaces, fields=fields),
    st.builds(payloads.KickUser, **about_member),
    st.builds(payloads.MuteUser, **about_member),
    st.builds(payloads.UnmuteUser, **about_member),
    st.builds(
        payloads.SyncSpaceKeys,
        keys=st.dictionaries(spaces, st.just("k"), max_size=2),
        version=st.integers(1, 9),
    ),
    st.builds(payloads.JoinSpace, space_id=spaces),
    st.builds(payloads.LeaveSpace, space_id=spaces),
)
servers = st.builds(
    ServerModel,
    messages=st.just({"old": "hello"}).map(dict),
    reactions=st.sets(st.tuples(st.just("old"), emojis)),
    pins=st.sets(st.just("old")),
    member_of=st.sets(spaces),
    members=st.sets(st.tuples(spaces, st.just("u"))),
    muted=st.sets(st.tuples(spaces, st.just("u"))),
)


@dataclass
class Row:
    """An action in the model of a queue."""

    id: int
    client_id: str
    payload: Any
    was_called: bool = False
    is_claimed: bool = False

    @property
    def kind(self) -> ActionType:
        return TYPES.of(self.payload)

    def is_about(self, kind: ActionType, payload: Any) -> bool:
        """Return whether it may be coalesced with a new `payload`; as `pending_about` selects."""
        subject = kind.subject_of(payload, "")
        if subject is not None and self.kind.subject_of(self.payload, "") == subject:
            return True
        if kind.target is None or kind.coalescing not in {"edit", "delete"}:
            return False
        target = getattr(payload, kind.target)
        if self.client_id == target:
            return True
        return kind.coalescing == "delete" and getattr(self.payload, "message_id", None) == target


class QueueModel:
    """A queue that coalesces by `plan`."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.plans: list[Plan] = []

    def enqueue(self, row: Row) -> None:
        kind, payload = row.kind, row.payload
        about = [
            each
            for each in self.rows
            if each.is_about(kind, payload) and self._is_in_reach(each, kind, payload)
        ]
        free = [each for each in about if not each.is_claimed]
        made = plan(
            kind,
            payload,
            [
                Pending(
                    id=each.id,
                    client_id=each.client_id,
                    type=each.kind.name,
                    payload=each.payload,
                    was_called=each.was_called,
                )
                for each in free
            ],
            is_another_open=len(free) < len([each for each in self.rows if each.is_about(kind, payload)]),
        )
        self.plans.append(made)
        gone = {each.id for each in (*made.replaced, *made.annihilated)}
        self.rows = [each for each in self.rows if each.id not in gone]
        if made.carrier is not None:
            carrier = next(each for each in self.rows if each.id == made.carrier.id)
            assert not carrier.was_called or carrier.payload == made.payload
            carrier.payload = made.payload
        elif not made.is_nothing:
            self.rows.append(Row(row.id, row.client_id, made.payload, row.was_called, row.is_claimed))

    def is_ready(self, row: Row) -> bool:
        """Return whether nothing that must be done before `row` is left."""
        lane, target = row.kind.lane_of(row.payload, ""), getattr(row.payload, "message_id", None)
        before = [each for each in self.rows if each.id < row.id]
        return not any(
            each.kind.lane_of(each.payload, "") == lane or each.client_id == target for each in before
        )

    def _is_in_reach(self, row: Row, kind: ActionType, payload: Any) -> bool:
        if kind.coalesces_across:
            return True
        subject, lane = kind.subject_of(payload, ""), kind.lane_of(payload, "")
        return not any(
            each.id > row.id
            and each.kind.lane_of(each.payload, "") == lane
            and each.kind.subject_of(each.payload, "") != subject
            for each in self.rows
        )


steps = st.lists(
    st.tuples(any_payload, st.booleans(), st.sampled_from(["free", "called", "claimed"])), max_size=14
)


@settings(max_examples=150)
@given(servers, steps, st.data())
def test_the_server_ends_as_it_would_without_coalescing(
    server: ServerModel, steps: list[tuple[Any, bool, str]], data: st.DataObject
) -> None:
    expected, queue = server.copy(), QueueModel()
    new_ids = iter(["m1", "m2"])
    sent: set[str] = set()
    for number, (given_payload, knows, fate) in enumerate(steps):
        payload = given_payload
        client_id = f"c{number}"
        if getattr(payload, "message_id", "old") not in {"old", *sent}:
            continue  # nobody can react to a message before there is one
        if isinstance(payload, payloads.SendMessage):
            client_id = next(new_ids, client_id)
            sent.add(client_id)
        seen = expected.sees(payload)
        if knows and seen is not None:
            payload = replace(payload, was=seen)
        expected.apply(client_id, payload)
        queue.enqueue(Row(number, client_id, payload))
        row = next((each for each in queue.rows if each.id == number), None)
        if row is not None and fate == "claimed":
            row.is_claimed = True
        elif row is not None and fate == "called" and queue.is_ready(row):
            row.was_called = True
            if data.draw(st.booleans(), label="the call that failed had its effect"):
                server.apply(row.client_id, row.payload)
    for row in queue.rows:
        server.apply(row.client_id, row.payload)

    assert server == expected


def coalesced(*all_payloads: Any) -> list[Any]:
    queue = QueueModel()
    for number, payload in enumerate(all_payloads):
        queue.enqueue(Row(number, f"c{number}", payload))
    return [row.payload for row in queue.rows]


def test_an_edit_folds_into_the_message_that_was_not_sent_yet() -> None:
    message = payloads.SendMessage(room_id="r", content="helo")
    edit = payloads.EditMessage(room_id="r", message_id="c0", content="hello")

    assert coalesced(message, edit) == [payloads.SendMessage(room_id="r", content="hello")]


def test_a_message_that_the_server_may_have_seen_is_not_changed_any_more() -> None:
    queue = QueueModel()
    message = payloads.SendMessage(room_id="r", content="helo")
    edit = payloads.EditMessage(room_id="r", message_id="m", content="hello")
    queue.enqueue(Row(0, "m", message, was_called=True))
    queue.enqueue(Row(1, "c1", edit))

    assert [row.payload for row in queue.rows] == [message, edit]


def test_a_deletion_annihilates_a_message_that_was_not_sent_with_all_that_is_about_it() -> None:
    about: dict[str, Any] = {"room_id": "r", "message_id": "c0"}

    assert (
        coalesced(
            payloads.SendMessage(room_id="r", content="oops"),
            payloads.React(emoji="+1", **about),
            payloads.PinMessage(**about),
            payloads.DeleteMessage(**about),
        )
        == []
    )


def test_a_deletion_of_a_sent_message_takes_what_is_pending_about_it_along() -> None:
    about: dict[str, Any] = {"room_id": "r", "message_id": "old"}
    deletion = payloads.DeleteMessage(**about)

    assert coalesced(payloads.EditMessage(content="x", **about), payloads.PinMessage(**about), deletion) == [
        deletion
    ]


def test_on_and_off_again_is_nothing_only_where_the_sender_saw_that_it_was_off() -> None:
    about: dict[str, Any] = {"room_id": "r", "message_id": "old", "emoji": "+1"}
    seen, unseen = payloads.React(was=False, **about), payloads.React(**about)
    off = payloads.React(is_on=False, **about)

    assert coalesced(seen, off) == []
    assert coalesced(unseen, off) == [off]


def test_changes_of_the_configuration_merge_field_by_field_and_the_last_one_wins() -> None:
    first = payloads.SaveUserConfig(fields={"theme": "dark", "size": 1}, base_version=7)
    second = payloads.SaveUserConfig(fields={"size": 2}, base_version=8)

    assert coalesced(first, second) == [
        payloads.SaveUserConfig(fields={"theme": "dark", "size": 2}, base_version=7)
    ]


def test_changes_of_a_space_are_compared_with_what_was_seen_before_the_first_of_them() -> None:
    first = payloads.UpdateSpace(space_id="s1", fields={"a": 1}, base_version=7, base={"a": 0})
    second = payloads.UpdateSpace(
        space_id="s1", fields={"a": 2, "b": 2}, base_version=8, base={"a": 1, "b": 0}
    )
    blind = payloads.UpdateSpace(space_id="s1", fields={"c": 3})

    assert coalesced(first, second) == [
        payloads.UpdateSpace(space_id="s1", fields={"a": 2, "b": 2}, base_version=7, base={"a": 0, "b": 0})
    ]
    (together,) = coalesced(first, blind)
    assert (together.fields, together.base) == ({"a": 1, "c": 3}, None)


def test_a_change_of_a_space_is_not_moved_before_the_joining_it_came_after() -> None:
    first = payloads.UpdateSpace(space_id="s1", fields={"a": 1})
    join = payloads.JoinSpace(space_id="s1")
    second = payloads.UpdateSpace(space_id="s1", fields={"b": 2})

    assert coalesced(first, join, second) == [first, join, second]
