"""`/v1/spaces` and `/v1/direct`: spaces are made, described, entered, left and ended."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chat import (
    ClientIdReused,
    InvalidValue,
    LimitReached,
    NotFound,
    NotPermitted,
    VersionConflict,
    parsed_id,
)
from dataserver import spaces_wire as wire
from dataserver.answers import AnyAnswer, json_answer
from dataserver.chat_parameters import (
    AFTER,
    CLIENT_ID,
    IF_MATCH,
    LIMIT,
    client_id,
    if_match,
    page,
    path_id,
    wished_page,
)
from dataserver.chat_wire import ActionRequest
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route

_CREATE: Final = msgspec.json.Decoder(wire.CreateSpaceRequest)
_UPDATE: Final = msgspec.json.Decoder(wire.UpdateSpaceRequest)
_OPEN: Final = msgspec.json.Decoder(wire.OpenSpaceRequest)
_DIRECT: Final = msgspec.json.Decoder(wire.OpenDirectRequest)
_ACTION: Final = msgspec.json.Decoder(ActionRequest)


async def list_spaces(exchange: Exchange) -> AnyAnswer:
    """Answer the spaces that the user is in."""
    spaces = exchange.services.chat.spaces
    return page(await spaces.page(exchange.session.user_id, **wished_page(exchange)))


async def post_space(exchange: Exchange) -> AnyAnswer:
    """Make a space."""
    asked = await exchange.json(_CREATE)
    made = await exchange.services.chat.spaces.create(
        exchange.session.user_id,
        asked.client_id,
        name=asked.name,
        description=asked.description,
        is_open=asked.is_open,
    )
    return json_answer(made, status=200 if made["duplicate"] else 201)


async def get_space(exchange: Exchange) -> AnyAnswer:
    """Answer what a space is."""
    space_id = path_id(exchange, "id", "space")
    return page(await exchange.services.chat.spaces.get(exchange.session.user_id, space_id))


async def patch_space(exchange: Exchange) -> AnyAnswer:
    """Merge fields into a space's settings."""
    asked = await exchange.json(_UPDATE)
    return json_answer(
        await exchange.services.chat.spaces.update(
            exchange.session.user_id,
            asked.client_id,
            path_id(exchange, "id", "space"),
            asked.fields,
            version=if_match(exchange),
        )
    )


async def put_open(exchange: Exchange) -> AnyAnswer:
    """Let whoever knows the id in, or not."""
    asked = await exchange.json(_OPEN)
    space_id = path_id(exchange, "id", "space")
    return json_answer(
        await exchange.services.chat.spaces.open_to_all(
            exchange.session.user_id, asked.client_id, space_id, is_open=asked.is_open
        )
    )


async def delete_space(exchange: Exchange) -> AnyAnswer:
    """End a space."""
    space_id = path_id(exchange, "id", "space")
    return json_answer(
        await exchange.services.chat.spaces.delete(exchange.session.user_id, client_id(exchange), space_id)
    )


async def post_join(exchange: Exchange) -> AnyAnswer:
    """Let the user in."""
    asked = await exchange.json(_ACTION)
    space_id = path_id(exchange, "id", "space")
    return json_answer(
        await exchange.services.chat.members.join(exchange.session.user_id, asked.client_id, space_id)
    )


async def post_leave(exchange: Exchange) -> AnyAnswer:
    """Let the user go."""
    asked = await exchange.json(_ACTION)
    space_id = path_id(exchange, "id", "space")
    return json_answer(
        await exchange.services.chat.members.leave(exchange.session.user_id, asked.client_id, space_id)
    )


async def post_direct(exchange: Exchange) -> AnyAnswer:
    """Answer the conversation of the user and another one."""
    asked = await exchange.json(_DIRECT)
    return json_answer(
        await exchange.services.chat.direct.open(
            exchange.session.user_id, asked.client_id, parsed_id(asked.user, "user")
        )
    )


_CHANGES: Final = (ClientIdReused, NotFound, NotPermitted)
_SPACE: Final = "/v1/spaces/{id}"
_CHANGE: Final[dict[str, Any]] = {"role": "user", "answers": wire.ChangeAnswer}

ROUTES = (
    Route(
        method="GET",
        path="/v1/spaces",
        role="user",
        handle=list_spaces,
        says="List the spaces that the user is in.",
        answers=wire.SpacesAnswer,
        parameters=(AFTER, LIMIT),
        refuses=(InvalidParameter,),
    ),
    Route(
        method="POST",
        path="/v1/spaces",
        handle=post_space,
        says="Make a space; the user owns it.",
        reads=wire.CreateSpaceRequest,
        status=201,
        also=(200,),
        refuses=(InvalidBody, ClientIdReused, InvalidValue, LimitReached),
        **_CHANGE,
    ),
    Route(
        method="GET",
        path=_SPACE,
        role="user",
        handle=get_space,
        says="Read a space's settings, and what the user is in it.",
        answers=wire.SpaceView,
        refuses=(NotFound,),
    ),
    Route(
        method="PATCH",
        path=_SPACE,
        handle=patch_space,
        says="Change some of a space's settings; with `If-Match`, if they have that version.",
        reads=wire.UpdateSpaceRequest,
        parameters=(IF_MATCH,),
        refuses=(InvalidBody, InvalidParameter, *_CHANGES, InvalidValue, VersionConflict),
        **_CHANGE,
    ),
    Route(
        method="DELETE",
        path=_SPACE,
        handle=delete_space,
        says="End a space: nobody is in it any more.",
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, *_CHANGES),
        **_CHANGE,
    ),
    Route(
        method="PUT",
        path=_SPACE + "/open",
        handle=put_open,
        says="Let whoever knows a space's id join it, or let them no longer.",
        reads=wire.OpenSpaceRequest,
        refuses=(InvalidBody, *_CHANGES),
        **_CHANGE,
    ),
    Route(
        method="POST",
        path=_SPACE + "/join",
        handle=post_join,
        says="Join an open space.",
        reads=ActionRequest,
        refuses=(InvalidBody, ClientIdReused, NotFound, LimitReached),
        **_CHANGE,
    ),
    Route(
        method="POST",
        path=_SPACE + "/leave",
        handle=post_leave,
        says="Leave a space.",
        reads=ActionRequest,
        refuses=(InvalidBody, ClientIdReused, NotPermitted),
        **_CHANGE,
    ),
    Route(
        method="POST",
        path="/v1/direct",
        handle=post_direct,
        says="Open the conversation with somebody, which is the same for both.",
        reads=wire.OpenDirectRequest,
        refuses=(InvalidBody, ClientIdReused, NotFound, InvalidValue, LimitReached),
        **_CHANGE,
    ),
)
