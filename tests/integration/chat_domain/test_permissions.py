"""Who may do what in a space: every deed by every role, tried on the services; and no route of the chat without one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

import pytest

from chat.domain.permissions import LEAST_RANK, Deed, Rank, may_act_on, may_give
from chat.domain.refusals import NotFound, NotPermitted
from chat.domain.rooms import RoomFields
from chat.domain.sending import Order
from chat.domain.space_settings import SpaceFields
from dataserver.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.chat_domain import ChatBench

DEEDS: Final[tuple[Deed, ...]] = get_args(Deed)
OUTSIDE: Final = "outside"
ROLES: Final = (OUTSIDE, *(rank.role for rank in Rank))
LEAST: Final[dict[Deed, str]] = {
    "read": "member",
    "send": "member",
    "edit_own": "member",
    "delete_own": "member",
    "delete_others": "moderator",
    "react": "member",
    "pin": "moderator",
    "invite": "member",
    "kick": "moderator",
    "mute": "moderator",
    "update_space": "admin",
    "manage_rooms": "admin",
    "change_roles": "admin",
    "delete_space": "owner",
}
"""Written once more: a slip in the domain's own table would go unseen if it were its own judge."""


@dataclass
class Scene:
    """A space with a user of one role, and what there is to do something to."""

    bench: ChatBench
    user: int
    mine: str
    theirs: str
    group: int

    @property
    def space(self) -> int:
        return self.bench.space


WAYS: Final[dict[Deed, list[tuple[str, Callable[[Scene], Awaitable[Any]]]]]] = {
    "read": [
        ("space", lambda s: s.bench.chat.spaces.get(s.user, s.space)),
        ("members", lambda s: s.bench.chat.members.page(s.user, s.space, after=0, limit=1)),
        ("rooms", lambda s: s.bench.chat.rooms.of_space(s.user, s.space)),
        ("room", lambda s: s.bench.chat.rooms.get(s.user, s.bench.room)),
        ("groups", lambda s: s.bench.chat.groups.of_space(s.user, s.space)),
        ("invites", lambda s: s.bench.chat.invites.of_space(s.user, s.space)),
        ("page", lambda s: s.bench.chat.messages.page(s.user, s.bench.room, after_seq=0, limit=9)),
        ("back", lambda s: s.bench.chat.messages.page_before(s.user, s.bench.room, before_seq=99, limit=9)),
        ("events", lambda s: s.bench.chat.messages.events(s.user, s.bench.room, after_seq=0, limit=9)),
        ("space events", lambda s: s.bench.chat.messages.events(s.user, s.space, after_seq=0, limit=9)),
        ("edits", lambda s: s.bench.chat.messages.edits(s.user, s.theirs, after=0, limit=9)),
        ("pins", lambda s: s.bench.chat.messages.pins(s.user, s.bench.room, after=0, limit=9)),
        ("marker", lambda s: s.bench.chat.read_markers.move(s.user, s.bench.room, 1)),
        ("void", lambda s: s.bench.chat.sending.void(s.bench.room, s.user, Order("s", 1))),
    ],
    "send": [
        ("send", lambda s: s.bench.send(sender=s.user)),
        ("answer", lambda s: s.bench.send(sender=s.user, reply_to=int(s.theirs))),
    ],
    "edit_own": [("edit", lambda s: s.bench.chat.messages.edit(s.user, "x", s.mine, "other"))],
    "delete_own": [("delete", lambda s: s.bench.chat.messages.delete(s.user, "x", s.mine))],
    "delete_others": [("delete", lambda s: s.bench.chat.messages.delete(s.user, "x", s.theirs))],
    "react": [
        ("react", lambda s: s.bench.chat.messages.react(s.user, "x", s.theirs, "+1", is_on=True)),
        ("unreact", lambda s: s.bench.chat.messages.react(s.user, "x", s.theirs, "+1", is_on=False)),
    ],
    "pin": [
        ("pin", lambda s: s.bench.chat.messages.pin(s.user, "x", s.theirs, is_on=True)),
        ("unpin", lambda s: s.bench.chat.messages.pin(s.user, "x", s.theirs, is_on=False)),
    ],
    "invite": [("invite", lambda s: s.bench.chat.invites.create(s.user, "x", s.space))],
    "kick": [("kick", lambda s: s.bench.chat.moderation.kick(s.user, "x", s.space, s.bench.bob))],
    "mute": [
        ("mute", lambda s: s.bench.chat.moderation.mute(s.user, "x", s.space, s.bench.bob)),
        ("unmute", lambda s: s.bench.chat.moderation.unmute(s.user, "x", s.space, s.bench.bob)),
        ("list", lambda s: s.bench.chat.moderation.muted(s.user, s.space, after=0, limit=1)),
    ],
    "update_space": [
        ("update", lambda s: s.bench.chat.spaces.update(s.user, "x", s.space, SpaceFields(name="Nest"))),
        ("open", lambda s: s.bench.chat.spaces.open_to_all(s.user, "x", s.space, is_open=True)),
    ],
    "manage_rooms": [
        ("new room", lambda s: s.bench.chat.rooms.create(s.user, "x", s.space, name="new")),
        ("room", lambda s: s.bench.chat.rooms.update(s.user, "x", s.bench.room, RoomFields(topic="t"))),
        ("new group", lambda s: s.bench.chat.groups.create(s.user, "x", s.space, name="new")),
        ("group", lambda s: s.bench.chat.groups.update(s.user, "x", s.space, s.group, place=5)),
        ("no group", lambda s: s.bench.chat.groups.delete(s.user, "x", s.space, s.group)),
    ],
    "change_roles": [
        (
            "promote",
            lambda s: s.bench.chat.members.change_role(s.user, "x", s.space, s.bench.bob, Rank.MODERATOR),
        )
    ],
    "delete_space": [("delete", lambda s: s.bench.chat.spaces.delete(s.user, "x", s.space))],
}

OF_NO_ROLE: Final = "whatever the role: the user's own things, or the way into a space"
ROUTE_DEEDS: Final[dict[str, str]] = {
    "GET /v1/rooms": OF_NO_ROLE,
    "GET /v1/spaces": OF_NO_ROLE,
    "POST /v1/spaces": OF_NO_ROLE,
    "GET /v1/spaces/{id}": "read",
    "PATCH /v1/spaces/{id}": "update_space",
    "DELETE /v1/spaces/{id}": "delete_space",
    "PUT /v1/spaces/{id}/open": "update_space",
    "POST /v1/spaces/{id}/join": OF_NO_ROLE,
    "POST /v1/spaces/{id}/leave": OF_NO_ROLE,
    "POST /v1/direct": OF_NO_ROLE,
    "GET /v1/spaces/{id}/members": "read",
    "PATCH /v1/spaces/{id}/members/{user}": "change_roles",
    "DELETE /v1/spaces/{id}/members/{user}": "kick",
    "PUT /v1/spaces/{id}/members/{user}/mute": "mute",
    "DELETE /v1/spaces/{id}/members/{user}/mute": "mute",
    "GET /v1/spaces/{id}/muted": "mute",
    "GET /v1/spaces/{id}/invites": "read",
    "POST /v1/spaces/{id}/invites": "invite",
    "DELETE /v1/spaces/{id}/invites/{invite}": "invite",
    "POST /v1/invites/{secret}/join": OF_NO_ROLE,
    "GET /v1/spaces/{id}/rooms": "read",
    "POST /v1/spaces/{id}/rooms": "manage_rooms",
    "GET /v1/spaces/{id}/groups": "read",
    "POST /v1/spaces/{id}/groups": "manage_rooms",
    "PATCH /v1/spaces/{id}/groups/{group}": "manage_rooms",
    "DELETE /v1/spaces/{id}/groups/{group}": "manage_rooms",
    "GET /v1/rooms/{id}": "read",
    "PATCH /v1/rooms/{id}": "manage_rooms",
    "GET /v1/rooms/{id}/pins": "read",
    "PUT /v1/rooms/{id}/read": "read",
    "GET /v1/rooms/{id}/messages": "read",
    "POST /v1/rooms/{id}/messages": "send",
    "POST /v1/rooms/{id}/void": "read",
    "GET /v1/rooms/{id}/events": "read",
    "PATCH /v1/rooms/{id}/messages/{message}": "edit_own",
    "DELETE /v1/rooms/{id}/messages/{message}": "delete_others",
    "GET /v1/rooms/{id}/messages/{message}/edits": "read",
    "PUT /v1/rooms/{id}/messages/{message}/reactions/{emoji}": "react",
    "DELETE /v1/rooms/{id}/messages/{message}/reactions/{emoji}": "react",
    "PUT /v1/rooms/{id}/pins/{message}": "pin",
    "DELETE /v1/rooms/{id}/pins/{message}": "pin",
    "GET /v1/search": OF_NO_ROLE,
}
OF_ONES_OWN: Final = ("/v1/me", "/v1/auth/", "/v1/users", "/v1/actions/", "/v1/ws", "/v1/streams/")
"""Addresses that no role in a space has a say in."""


def test_the_table_names_every_deed_and_says_what_the_domains_says() -> None:
    assert {deed: LEAST_RANK[deed].role for deed in DEEDS} == LEAST
    assert WAYS.keys() == LEAST_RANK.keys()


def test_every_route_of_the_chat_has_its_deed() -> None:
    routes = {
        route.label for route in ROUTES if route.role == "user" and not route.path.startswith(OF_ONES_OWN)
    }
    assert routes == ROUTE_DEEDS.keys()
    assert set(ROUTE_DEEDS.values()) - {OF_NO_ROLE} <= set(DEEDS)


@pytest.mark.parametrize("role", ROLES)
async def test_each_deed_is_done_by_its_least_role_and_those_above(bench: ChatBench, role: str) -> None:
    for deed in DEEDS:
        for name, way in WAYS[deed]:
            scene = await _scene(bench, role, f"{deed}-{name}")
            await _judge(f"{deed} by {name}", role, LEAST[deed], partial(way, scene))


async def _scene(bench: ChatBench, role: str, name: str) -> Scene:
    """Make a space where Zoe has the role; she was a member when she wrote, whatever became of her."""
    chat, ann = bench.chat, bench.ann
    bench.space = int((await chat.spaces.create(ann, bench.client_id(), name=name))["id"])
    bench.room = int((await chat.rooms.create(ann, bench.client_id(), bench.space, name="room"))["id"])
    zoe = await bench.user(f"zoe-{name}")
    for user_id in (bench.bob, zoe):
        await bench.member(user_id)
    mine, theirs = await bench.send("mine", sender=zoe), await bench.send("theirs", sender=bench.bob)
    group = await chat.groups.create(ann, bench.client_id(), bench.space, name="old")
    if role == OUTSIDE:
        await chat.moderation.kick(ann, bench.client_id(), bench.space, zoe)
    else:
        rank = Rank[role.upper()]
        await chat.members.change_role(ann, bench.client_id(), bench.space, zoe, rank)
    return Scene(bench, zoe, mine.id, theirs.id, int(group["id"]))


async def _judge(what: str, role: str, least: str, act: Callable[[], Awaitable[Any]]) -> None:
    expected = (
        NotFound if role == OUTSIDE else None if ROLES.index(role) >= ROLES.index(least) else NotPermitted
    )
    try:
        await act()
        happened = None
    except (NotFound, NotPermitted) as refusal:
        happened = type(refusal)
    assert happened is expected, what


@pytest.mark.parametrize("mine", Rank)
async def test_members_are_removed_muted_and_promoted_only_from_above(bench: ChatBench, mine: Rank) -> None:
    zoe = await bench.user("zoe")
    await bench.member(zoe, mine)
    for theirs in Rank:
        for new in Rank:
            other = await bench.user(f"other-{theirs}-{new}")
            await bench.member(other, theirs)
            changes = bench.chat.members.change_role(zoe, f"r{other}", bench.space, other, new)
            if may_give(mine, theirs, new):
                await changes
            else:
                with pytest.raises(NotPermitted):
                    await changes
        other = await bench.user(f"other-{theirs}")
        await bench.member(other, theirs)
        moderation = bench.chat.moderation
        for deed in (moderation.mute, moderation.unmute, moderation.kick):
            if LEAST_RANK["kick"] <= mine and may_act_on(mine, theirs):
                await deed(zoe, f"{deed.__name__}{other}", bench.space, other)
            else:
                with pytest.raises(NotPermitted):
                    await deed(zoe, f"{deed.__name__}{other}", bench.space, other)
