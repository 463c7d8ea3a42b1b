from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chat.errors import InvalidAction, UnknownActionType
from chat.queue.actions import BUILT_IN, ActionType, ActionTypes
from chat.queue.payloads import SaveUserConfig, SendMessage

TABLE = """
send-message     | room           | park                                | 3 x 1    | 400, 403, 404 | dropped | none         | none                 | none
edit-message     | room           | skip                                | 3 x 2    | 404           | dropped | last wins    | none                 | Failed to edit message
delete-message   | room           | skip                                | until done | none        | success | removes      | none                 | Failed to delete message
reaction         | room + message | expire                              | 3 x 2    | 404           | dropped | cancel       | none                 | none
pin-message      | room + message | supersede                           | 3 x 2    | 404           | dropped | cancel       | none                 | Failed to pin message
unpin-message    | room + message | supersede                           | 3 x 2    | 404           | dropped | cancel       | none                 | Failed to unpin message
save-user-config | account        | supersede                           | 3 x 2    | validation    | -       | fields merge | none                 | Failed to save settings
update-profile   | account        | supersede                           | 3 x 2    | validation    | -       | fields merge | none                 | Failed to save profile
update-space     | space          | block on conflict, else supersede   | 3 x 2    | 403, 404      | dropped | fields merge | Space settings saved | Failed to save space settings
kick-user        | space + user   | skip                                | 3 x 2    | 403, 404      | success | none         | User removed         | Failed to remove user
mute-user        | space + user   | supersede                           | 3 x 2    | 403           | -       | cancel       | User muted           | Failed to mute user
unmute-user      | space + user   | supersede                           | 3 x 2    | 403           | -       | cancel       | User unmuted         | Failed to unmute user
sync-space-keys  | account        | block                               | 3 x 2    | validation    | dropped | newest       | none                 | Failed to sync keys
join-space       | space          | block                               | 3 x 2    | 403, 404      | success | cancel       | none                 | Failed to join space
leave-space      | space          | block                               | 3 x 2    | 403, 404      | success | cancel       | none                 | Failed to leave space
"""
STALE = {"drop": "dropped", "succeed": "success", "fail": "-"}
COALESCING = {
    "none": "none",
    "edit": "last wins",
    "delete": "removes",
    "toggle": "cancel",
    "fields": "fields merge",
    "replace": "newest",
}


def row(kind: ActionType) -> list[str]:
    """Return what the declaration says of a type, in the words of the table."""
    permanent = ", ".join(str(status) for status in sorted(kind.permanent or ())) or "none"
    return [
        kind.name,
        " + ".join(name.removesuffix("_id") for name in kind.key) or "account",
        f"block on conflict, else {kind.stuck}" if kind.blocks_on_conflict else kind.stuck,
        "until done" if kind.max_attempts is None else f"{kind.max_attempts} x {kind.base_delay_s:.0f}",
        "validation" if permanent == "400, 422" else permanent,
        STALE[kind.on_target_gone],
        COALESCING[kind.coalescing],
        kind.success_notice or "none",
        kind.failure_notice or "none",
    ]


def test_the_built_in_types_are_those_of_the_design() -> None:
    expected = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]

    assert [row(kind) for kind in BUILT_IN] == expected


def test_only_configuration_waits_for_more_of_its_kind() -> None:
    assert {kind.name: kind.debounce_s for kind in BUILT_IN if kind.debounce_s} == {"save-user-config": 0.5}


def test_what_is_about_a_message_comes_after_it_by_order_or_by_waiting_for_it() -> None:
    messages = ActionTypes().named("send-message").lane_topic
    for kind in BUILT_IN:
        if kind.target is not None:
            assert kind.waits_for_target == (kind.lane_topic != messages)
    assert {kind.name for kind in BUILT_IN if kind.waits_for_target} == {
        "reaction",
        "pin-message",
        "unpin-message",
    }


def test_every_built_in_action_of_unknown_outcome_is_asked_about() -> None:
    assert {kind.on_uncertain for kind in BUILT_IN} == {"ask"}


def test_lanes_of_two_accounts_rooms_or_topics_are_never_one() -> None:
    send = ActionTypes().named("send-message")
    config = ActionTypes().named("save-user-config")
    keys = {
        send.lane_of(SendMessage(room_id=room, content=""), account)
        for room, account in [("a/b", ""), ("a", "b"), ("b", "a"), ("a%2Fb", ""), ("b", "a/")]
    }

    assert len(keys | {config.lane_of(SaveUserConfig(fields={}), "")}) == 6


class Ping(msgspec.Struct):
    host: Any


def test_a_part_of_a_key_that_is_neither_text_nor_number_is_refused() -> None:
    ping = ActionType(name="ping", payload=Ping, key=("host",))

    assert ping.lane_of(Ping(host=5), "me") == "ping/me/5"
    with pytest.raises(InvalidAction):
        ping.lane_of(Ping(host=None), "me")


@pytest.mark.parametrize(
    "facts",
    [
        {"key": ("port",)},
        {"target": "port"},
        {"version": 2},
        {"upcasters": {1: dict}},
        {"priority": 3},
        {"max_attempts": 0},
        {"coalescing": "toggle", "key": ("host",)},
        {"coalescing": "toggle", "subject": ("host",), "is_on": True},
        {"coalescing": "fields", "subject": ("host",)},
        {"coalescing": "edit", "subject": ("host",)},
    ],
)
def test_a_declaration_whose_parts_do_not_fit_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ping|max_attempts"):
        ActionType(name="ping", payload=Ping, **facts)


def test_a_type_is_found_by_its_name_and_by_its_payload() -> None:
    types = ActionTypes()
    ping = ActionType(name="ping", payload=Ping)
    with pytest.raises(UnknownActionType):
        types.of(Ping(host="a"))

    types.add(ping)

    assert (types.named("ping"), types.of(Ping(host="a"))) == (ping, ping)


def test_two_types_do_not_share_a_payload_but_one_may_be_replaced() -> None:
    types = ActionTypes([ActionType(name="ping", payload=Ping)])
    patient = ActionType(name="ping", payload=Ping, max_attempts=None)

    with pytest.raises(ValueError, match="payload of ping"):
        types.add(ActionType(name="pong", payload=Ping))
    types.add(patient)

    assert list(types) == [patient]
