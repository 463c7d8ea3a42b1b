"""What each type of action asks of the server."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from chat import (
    AnswerLost,
    AuthExpired,
    Conflict,
    DeliveryError,
    Permanent,
    RateLimited,
    TargetGone,
    Transient,
)
from chat.client.api import Api
from chat.client.handlers.account import AccountHandlers
from chat.client.handlers.messages import MessageHandlers, may_go_along
from chat.client.handlers.spaces import SpaceHandlers
from chat.client.handlers.table import HttpTransport
from chat.client.logins import Login
from chat.client.numbering import Numbering
from chat.queue import payloads
from chat.queue.built_in import BUILT_IN
from chat.queue.handlers import Delivery
from chat.sync.document import SettingsTooNew
from chat.sync.settings_sync import SettingsSync
from chat.sync.space_key_cache import SpaceKeyCache

ABOUT: dict[str, Any] = {"room_id": "10", "message_id": "a/b"}
SPACE: dict[str, Any] = {"space_id": "3"}
MEMBER: dict[str, Any] = {**SPACE, "user_id": "2"}


class Scripted:
    """Notes calls, and answers as it is told."""

    def __init__(self, *answers: Any) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self.headers: list[Any] = []
        self.answers = list(answers)
        self.login = Login(user_id="1", name="ann", access_token="", refresh_token="")

    async def call(
        self, method: str, path: str, body: Any = None, *, params: Any = None, headers: Any = None
    ) -> Any:
        self.calls.append((method, path, params if body is None else body))
        self.headers.append(headers)
        answer = self.answers.pop(0) if self.answers else {"done": True}
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def upload(self, client_id: str, *more: Any) -> Any:
        self.calls.append(("upload", client_id, more))
        answer = self.answers.pop(0) if self.answers else {"done": True}
        if isinstance(answer, Exception):
            raise answer
        return answer


def transport(script: Scripted) -> HttpTransport:
    api = cast("Api", script)
    return HttpTransport(
        api,
        MessageHandlers(api, Numbering()),
        SpaceHandlers(api),
        AccountHandlers(api, cast("SettingsSync", script), cast("SpaceKeyCache", script)),
    )


def delivery(payload: msgspec.Struct, *, client_id: str = "c", account: str = "1") -> Delivery:
    (name,) = [kind.name for kind in BUILT_IN if kind.payload is type(payload)]
    return Delivery(client_id, name, payload, account, 1, 0)


BY_ID = {"client_id": "c"}


@pytest.mark.parametrize(
    ("payload", "call"),
    [
        (
            payloads.EditMessage(**ABOUT, content="x"),
            ("PATCH", "/v1/rooms/10/messages/a%2Fb", {"client_id": "c", "content": "x"}),
        ),
        (payloads.DeleteMessage(**ABOUT), ("DELETE", "/v1/rooms/10/messages/a%2Fb", BY_ID)),
        (
            payloads.React(**ABOUT, emoji="👍"),
            ("PUT", "/v1/rooms/10/messages/a%2Fb/reactions/%F0%9F%91%8D", BY_ID),
        ),
        (
            payloads.React(**ABOUT, emoji="+1", is_on=False),
            ("DELETE", "/v1/rooms/10/messages/a%2Fb/reactions/%2B1", BY_ID),
        ),
        (payloads.PinMessage(**ABOUT), ("PUT", "/v1/rooms/10/pins/a%2Fb", BY_ID)),
        (payloads.UnpinMessage(**ABOUT), ("DELETE", "/v1/rooms/10/pins/a%2Fb", BY_ID)),
        (
            payloads.UpdateProfile(fields={"mood": "fine"}),
            ("PATCH", "/v1/me/profile", {"client_id": "c", "fields": {"mood": "fine"}}),
        ),
        (
            payloads.UpdateSpace(**SPACE, fields={"name": "x"}),
            ("PATCH", "/v1/spaces/3", {"client_id": "c", "fields": {"name": "x"}}),
        ),
        (payloads.KickUser(**MEMBER), ("DELETE", "/v1/spaces/3/members/2", BY_ID)),
        (payloads.MuteUser(**MEMBER), ("PUT", "/v1/spaces/3/members/2/mute", BY_ID)),
        (payloads.UnmuteUser(**MEMBER), ("DELETE", "/v1/spaces/3/members/2/mute", BY_ID)),
        (payloads.JoinSpace(**SPACE), ("POST", "/v1/spaces/3/join", BY_ID)),
        (payloads.LeaveSpace(**SPACE), ("POST", "/v1/spaces/3/leave", BY_ID)),
        (payloads.SaveUserConfig(fields={}), ("upload", "c", ())),
        (payloads.SyncSpaceKeys(keys={"3": "k"}, version=7), ("upload", "c", ({"3": "k"}, 7))),
    ],
)
async def test_each_type_calls_what_is_its_own(payload: msgspec.Struct, call: tuple[str, str, Any]) -> None:
    script = Scripted()
    assert await transport(script).deliver(delivery(payload)) == {"done": True}
    assert script.calls == [call]


def test_every_built_in_type_is_delivered() -> None:
    assert set(transport(Scripted()).table) == {kind.name for kind in BUILT_IN}


async def test_a_send_carries_its_number_and_keeps_it_when_tried_again() -> None:
    script = Scripted(Transient("busy"))
    sender, new = transport(script), payloads.SendMessage(room_id="10", content="x", reply_to_id="5")
    with pytest.raises(Transient):
        await sender.deliver(delivery(new))
    await sender.deliver(delivery(new))
    await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d"))
    numbers = [(body["client_id"], body["dev_seq"]) for _, _, body in script.calls]
    assert numbers == [("c", 1), ("c", 1), ("d", 2)]
    assert len({body["session"] for _, _, body in script.calls}) == 1
    assert script.calls[0][2]["reply_to"] == "5"


def out_of_turn(expected: int) -> DeliveryError:
    error = Transient("early", code="out_of_turn", status=409)
    error.details = {"expected": expected}
    return error


async def test_a_send_whose_predecessor_was_given_up_goes_out_under_another_session() -> None:
    script = Scripted(Transient("busy"))
    sender = transport(script)
    with pytest.raises(Transient):
        await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="x")))
    second = delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d")
    assert await sender.deliver(second) == {"done": True}
    assert [body["dev_seq"] for _, _, body in script.calls] == [1, 1]
    assert len({body["session"] for _, _, body in script.calls}) == 2


async def test_a_send_that_comes_before_those_it_stands_behind_waits_for_them() -> None:
    script = Scripted(out_of_turn(1))
    sender = transport(script)
    early = delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d")
    together = ("c", "d")
    with pytest.raises(RateLimited) as caught:
        await sender.deliver(replace(early, together=together))
    assert caught.value.code == "out_of_turn"
    first = delivery(payloads.SendMessage(room_id="10", content="x"))
    await sender.deliver(replace(first, together=together))
    await sender.deliver(early)
    assert [(body["client_id"], body["dev_seq"]) for _, _, body in script.calls] == [
        ("d", 2),
        ("c", 1),
        ("d", 2),
    ]
    assert len({body["session"] for _, _, body in script.calls}) == 1


async def test_numbers_begin_anew_where_the_server_misses_what_nobody_will_send() -> None:
    script = Scripted({"done": True}, out_of_turn(2))
    sender = transport(script)
    await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="x")))
    new = delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d")
    with pytest.raises(RateLimited):
        await sender.deliver(new)
    await sender.deliver(new)
    assert [body["dev_seq"] for _, _, body in script.calls] == [1, 2, 1]


async def test_a_message_whose_answer_was_lost_keeps_its_place_before_those_behind_it() -> None:
    script = Scripted(AnswerLost("cut"), {"result": {"seq": 1}})
    sender = transport(script)
    lost = delivery(payloads.SendMessage(room_id="10", content="x"))
    with pytest.raises(AnswerLost):
        await sender.deliver(lost)
    assert await sender.ask(lost) == {"seq": 1}
    await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d"))
    sends = [body for _, path, body in script.calls if path.endswith("/messages")]
    assert [body["dev_seq"] for body in sends] == [1, 2]
    assert len({body["session"] for body in sends}) == 1


def test_an_answer_to_a_message_does_not_go_along_with_it() -> None:
    answer = payloads.SendMessage(room_id="10", content="x", reply_to_id="b")
    assert may_go_along(answer, ["a", "c"])
    assert not may_go_along(answer, ["a", "b"])


@pytest.mark.parametrize("voiding", [{}, Transient("busy")])
async def test_a_refused_send_gives_its_number_back_and_is_told_as_refused(voiding: Any) -> None:
    script = Scripted(Permanent("too long", status=400), voiding)
    with pytest.raises(Permanent, match="too long"):
        await transport(script).deliver(delivery(payloads.SendMessage(room_id="10", content="x")))
    assert [path for _, path, _ in script.calls] == ["/v1/rooms/10/messages", "/v1/rooms/10/void"]


@pytest.mark.parametrize(("voiding", "numbers"), [({}, [1, 2]), (Transient("busy"), [1, 1])])
async def test_what_comes_after_a_refused_send_goes_on(voiding: Any, numbers: list[int]) -> None:
    script = Scripted(Permanent("too long", status=400), voiding)
    sender = transport(script)
    with pytest.raises(Permanent):
        await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="x")))
    await sender.deliver(delivery(payloads.SendMessage(room_id="10", content="y"), client_id="d"))
    sends = [body for _, path, body in script.calls if path.endswith("/messages")]
    assert [body["dev_seq"] for body in sends] == numbers


async def test_the_version_that_was_seen_goes_along() -> None:
    script = Scripted(Conflict("changed"))
    update = payloads.UpdateSpace(**SPACE, fields={"name": "x"}, base_version=4)
    with pytest.raises(Conflict):
        await transport(script).deliver(delivery(update))
    assert script.headers == [{"if-match": '"4"'}]


def changed_meanwhile(version: int, **settings: Any) -> Conflict:
    error = Conflict("changed", code="version_conflict", status=412)
    error.details = {"current": {"version": version, "settings": settings, "updated_at_ms": 0}}
    return error


async def test_a_conflict_about_a_space_is_merged_and_sent_with_the_version_that_is_there() -> None:
    script = Scripted(changed_meanwhile(5, name="theirs", topic="new"), {"version": 6})
    update = payloads.UpdateSpace(**SPACE, fields={"name": "mine"}, base_version=4, base={"name": "old"})
    answer = await transport(script).deliver(delivery(update))
    assert script.headers == [{"if-match": '"4"'}, {"if-match": '"5"'}]
    assert [(each["kept"], each["lost"]) for each in answer["conflicts"]] == [("mine", "theirs")]


async def test_an_update_of_which_nothing_is_left_is_done_without_another_call() -> None:
    script = Scripted(changed_meanwhile(5, name="mine"))
    update = payloads.UpdateSpace(**SPACE, fields={"name": "mine"}, base_version=4, base={"name": "old"})
    assert await transport(script).deliver(delivery(update)) == {"version": 5, "conflicts": []}


async def test_a_space_that_changes_all_the_time_is_tried_again_later() -> None:
    script = Scripted(*(changed_meanwhile(version, name="old") for version in range(5, 10)))
    update = payloads.UpdateSpace(**SPACE, fields={"name": "mine"}, base_version=4, base={"name": "old"})
    with pytest.raises(Transient):
        await transport(script).deliver(delivery(update))
    assert len(script.calls) == 5


async def test_what_another_user_has_left_waits_for_that_user() -> None:
    script = Scripted()
    with pytest.raises(AuthExpired):
        await transport(script).deliver(delivery(payloads.JoinSpace(**SPACE), account="2"))
    assert script.calls == []


async def test_settings_that_can_not_be_read_here_are_not_overwritten() -> None:
    with pytest.raises(Permanent) as caught:
        await transport(Scripted(SettingsTooNew(9))).deliver(delivery(payloads.SaveUserConfig(fields={})))
    assert caught.value.status == 422


async def test_a_lost_answer_is_asked_for_by_the_client_id() -> None:
    script = Scripted({"kind": "join-space", "result": {"space_id": "3"}}, TargetGone("no action"))
    asking, join = transport(script), delivery(payloads.JoinSpace(**SPACE), client_id="c/d")
    assert await asking.ask(join) == {"space_id": "3"}
    assert await asking.ask(join) is None
    assert {path for _, path, _ in script.calls} == {"/v1/actions/c%2Fd"}


@pytest.mark.parametrize(
    "payload", [payloads.SaveUserConfig(fields={}), payloads.SyncSpaceKeys(keys={}, version=1)]
)
async def test_settings_and_keys_are_done_again_instead(payload: msgspec.Struct) -> None:
    script = Scripted()
    assert await transport(script).ask(delivery(payload)) is None
    assert script.calls == []
