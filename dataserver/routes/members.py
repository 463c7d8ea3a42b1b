"""`/v1/spaces/{id}/members`, `/muted` and `/invites`: who is in a space, who may write there, and who is let in."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chat import ClientIdReused, InvalidValue, LimitReached, NotFound, NotPermitted, Rank
from dataserver import spaces_wire as wire
from dataserver.answers import AnyAnswer, json_answer
from dataserver.chat_parameters import (
    AFTER,
    CLIENT_ID,
    LIMIT,
    client_id,
    page,
    path_id,
    wished_page,
)
from dataserver.chat_wire import ActionRequest
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route

_ROLE: Final = msgspec.json.Decoder(wire.RoleRequest)
_MUTE: Final = msgspec.json.Decoder(wire.MuteRequest)
_INVITE: Final = msgspec.json.Decoder(wire.CreateInviteRequest)
_ACTION: Final = msgspec.json.Decoder(ActionRequest)


async def list_members(exchange: Exchange) -> AnyAnswer:
    """Answer members of a space."""
    return page(await exchange.services.chat.members.page(*_space(exchange), **wished_page(exchange)))


async def patch_member(exchange: Exchange) -> AnyAnswer:
    """Give a member another role."""
    asked = await exchange.json(_ROLE)
    user_id, space_id = _space(exchange)
    other_id, rank = path_id(exchange, "user", "user"), Rank[asked.role.upper()]
    return json_answer(
        await exchange.services.chat.members.change_role(user_id, asked.client_id, space_id, other_id, rank)
    )


async def delete_member(exchange: Exchange) -> AnyAnswer:
    """Remove a member."""
    user_id, space_id = _space(exchange)
    other_id = path_id(exchange, "user", "user")
    return json_answer(
        await exchange.services.chat.moderation.kick(user_id, client_id(exchange), space_id, other_id)
    )


async def put_mute(exchange: Exchange) -> AnyAnswer:
    """Let a member write no more."""
    asked = await exchange.json(_MUTE)
    user_id, space_id = _space(exchange)
    other_id = path_id(exchange, "user", "user")
    return json_answer(
        await exchange.services.chat.moderation.mute(
            user_id, asked.client_id, space_id, other_id, until_ms=asked.until_ms
        )
    )


async def delete_mute(exchange: Exchange) -> AnyAnswer:
    """Let somebody write again."""
    user_id, space_id = _space(exchange)
    other_id = path_id(exchange, "user", "user")
    return json_answer(
        await exchange.services.chat.moderation.unmute(user_id, client_id(exchange), space_id, other_id)
    )


async def list_muted(exchange: Exchange) -> AnyAnswer:
    """Answer who is muted."""
    return page(await exchange.services.chat.moderation.muted(*_space(exchange), **wished_page(exchange)))


async def list_invites(exchange: Exchange) -> AnyAnswer:
    """Answer the links of a space."""
    return page(await exchange.services.chat.invites.of_space(*_space(exchange)))


async def post_invite(exchange: Exchange) -> AnyAnswer:
    """Make a link, and answer its secret, this once."""
    asked = await exchange.json(_INVITE)
    user_id, space_id = _space(exchange)
    made = await exchange.services.chat.invites.create(
        user_id, asked.client_id, space_id, age_s=asked.age_s, uses=asked.uses
    )
    return json_answer(
        made, status=200 if made["duplicate"] else 201, headers=((b"cache-control", b"no-store"),)
    )


async def delete_invite(exchange: Exchange) -> AnyAnswer:
    """Let a link lead nowhere."""
    user_id, space_id = _space(exchange)
    return json_answer(
        await exchange.services.chat.invites.delete(
            user_id, client_id(exchange), space_id, exchange.path["invite"]
        )
    )


async def post_use_invite(exchange: Exchange) -> AnyAnswer:
    """Let the user in by a link."""
    asked = await exchange.json(_ACTION)
    return json_answer(
        await exchange.services.chat.invites.join(
            exchange.session.user_id, asked.client_id, exchange.path["secret"]
        )
    )


def _space(exchange: Exchange) -> tuple[int, int]:
    return exchange.session.user_id, path_id(exchange, "id", "space")


_SPACE: Final = "/v1/spaces/{id}"
_MEMBER: Final = _SPACE + "/members/{user}"
_CHANGES: Final = (ClientIdReused, NotFound, NotPermitted)
_CHANGE: Final[dict[str, Any]] = {"role": "user", "answers": wire.ChangeAnswer}

ROUTES = (
    Route(
        method="GET",
        path=_SPACE + "/members",
        role="user",
        handle=list_members,
        says="List the members of a space.",
        answers=wire.MembersAnswer,
        parameters=(AFTER, LIMIT),
        refuses=(NotFound, InvalidParameter),
    ),
    Route(
        method="PATCH",
        path=_MEMBER,
        handle=patch_member,
        says="Give a member another role; an owner any, others those below their own.",
        reads=wire.RoleRequest,
        refuses=(InvalidBody, *_CHANGES),
        **_CHANGE,
    ),
    Route(
        method="DELETE",
        path=_MEMBER,
        handle=delete_member,
        says="Remove a member of a lower role.",
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, *_CHANGES),
        **_CHANGE,
    ),
    Route(
        method="PUT",
        path=_MEMBER + "/mute",
        handle=put_mute,
        says="Let a member of a lower role write no more, until a time or for good.",
        reads=wire.MuteRequest,
        refuses=(InvalidBody, *_CHANGES, InvalidValue),
        **_CHANGE,
    ),
    Route(
        method="DELETE",
        path=_MEMBER + "/mute",
        handle=delete_mute,
        says="Let somebody write again.",
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, *_CHANGES),
        **_CHANGE,
    ),
    Route(
        method="GET",
        path=_SPACE + "/muted",
        role="user",
        handle=list_muted,
        says="List who may not write in a space.",
        answers=wire.MutedAnswer,
        parameters=(AFTER, LIMIT),
        refuses=(NotFound, NotPermitted, InvalidParameter),
    ),
    Route(
        method="GET",
        path=_SPACE + "/invites",
        role="user",
        handle=list_invites,
        says="List one's links into a space; a moderator sees all.",
        answers=wire.InvitesAnswer,
        refuses=(NotFound,),
    ),
    Route(
        method="POST",
        path=_SPACE + "/invites",
        role="user",
        handle=post_invite,
        says="Make a link into a space; its secret is in this answer and nowhere else.",
        reads=wire.CreateInviteRequest,
        answers=wire.InviteAnswer,
        status=201,
        also=(200,),
        refuses=(InvalidBody, *_CHANGES, InvalidValue, LimitReached),
    ),
    Route(
        method="DELETE",
        path=_SPACE + "/invites/{invite}",
        handle=delete_invite,
        says="Take a link away: one's own, or any for a moderator.",
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, ClientIdReused, NotFound),
        **_CHANGE,
    ),
    Route(
        method="POST",
        path="/v1/invites/{secret}/join",
        handle=post_use_invite,
        says="Join the space that a link leads to.",
        reads=ActionRequest,
        refuses=(InvalidBody, ClientIdReused, NotFound, LimitReached),
        **_CHANGE,
    ),
)
