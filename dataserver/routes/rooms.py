"""`/v1/spaces/{id}/rooms` and `/groups`, `/v1/rooms/{id}` and what is read of it."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from chat import (
    ClientIdReused,
    InvalidValue,
    LimitReached,
    NotFound,
    NotPermitted,
    Taken,
    parsed_id,
)
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
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route
from dataserver.routes.messages import named_message

_CREATE_ROOM: Final = msgspec.json.Decoder(wire.CreateRoomRequest)
_UPDATE_ROOM: Final = msgspec.json.Decoder(wire.UpdateRoomRequest)
_CREATE_GROUP: Final = msgspec.json.Decoder(wire.CreateGroupRequest)
_UPDATE_GROUP: Final = msgspec.json.Decoder(wire.UpdateGroupRequest)
_READ: Final = msgspec.json.Decoder(wire.ReadRequest)


async def list_space_rooms(exchange: Exchange) -> AnyAnswer:
    """Answer the rooms of a space."""
    return page(await exchange.services.chat.rooms.of_space(*_named(exchange, "space")))


async def post_room(exchange: Exchange) -> AnyAnswer:
    """Make a room."""
    asked = await exchange.json(_CREATE_ROOM)
    user_id, space_id = _named(exchange, "space")
    made = await exchange.services.chat.rooms.create(
        user_id,
        asked.client_id,
        space_id,
        name=asked.name,
        topic=asked.topic,
        group_id=None if asked.group is None else parsed_id(asked.group, "group"),
    )
    return json_answer(made, status=200 if made["duplicate"] else 201)


async def get_room(exchange: Exchange) -> AnyAnswer:
    """Answer what a room is."""
    return page(await exchange.services.chat.rooms.get(*_named(exchange, "room")))


async def patch_room(exchange: Exchange) -> AnyAnswer:
    """Change a room."""
    asked = await exchange.json(_UPDATE_ROOM)
    user_id, room_id = _named(exchange, "room")
    return json_answer(
        await exchange.services.chat.rooms.update(user_id, asked.client_id, room_id, asked.fields)
    )


async def list_pins(exchange: Exchange) -> AnyAnswer:
    """Answer the pinned messages of a room."""
    pins = exchange.services.chat.messages.pins
    return page(await pins(*_named(exchange, "room"), **wished_page(exchange)))


async def put_read(exchange: Exchange) -> AnyAnswer:
    """Say how far the user has read."""
    asked = await exchange.json(_READ)
    return json_answer(await exchange.services.chat.read_markers.move(*_named(exchange, "room"), asked.seq))


async def list_edits(exchange: Exchange) -> AnyAnswer:
    """Answer what a message said before."""
    edits = exchange.services.chat.messages.edits
    return page(await edits(exchange.session.user_id, await named_message(exchange), **wished_page(exchange)))


async def list_groups(exchange: Exchange) -> AnyAnswer:
    """Answer the groups of a space."""
    return page(await exchange.services.chat.groups.of_space(*_named(exchange, "space")))


async def post_group(exchange: Exchange) -> AnyAnswer:
    """Make a group."""
    asked = await exchange.json(_CREATE_GROUP)
    user_id, space_id = _named(exchange, "space")
    made = await exchange.services.chat.groups.create(user_id, asked.client_id, space_id, name=asked.name)
    return json_answer(made, status=200 if made["duplicate"] else 201)


async def patch_group(exchange: Exchange) -> AnyAnswer:
    """Change a group."""
    asked = await exchange.json(_UPDATE_GROUP)
    user_id, space_id = _named(exchange, "space")
    group_id = path_id(exchange, "group", "group")
    return json_answer(
        await exchange.services.chat.groups.update(
            user_id, asked.client_id, space_id, group_id, name=asked.name, place=asked.place
        )
    )


async def delete_group(exchange: Exchange) -> AnyAnswer:
    """Take a group away."""
    user_id, space_id = _named(exchange, "space")
    group_id = path_id(exchange, "group", "group")
    return json_answer(
        await exchange.services.chat.groups.delete(user_id, client_id(exchange), space_id, group_id)
    )


def _named(exchange: Exchange, what: Literal["space", "room"]) -> tuple[int, int]:
    return exchange.session.user_id, path_id(exchange, "id", what)


_SPACE: Final = "/v1/spaces/{id}"
_ROOM: Final = "/v1/rooms/{id}"
_CHANGES: Final = (ClientIdReused, NotFound, NotPermitted)
_CHANGE: Final[dict[str, Any]] = {"role": "user", "answers": wire.ChangeAnswer}

ROUTES = (
    Route(
        method="GET",
        path=_SPACE + "/rooms",
        role="user",
        handle=list_space_rooms,
        says="List the rooms of a space in their order.",
        answers=wire.SpaceRoomsAnswer,
        refuses=(NotFound,),
    ),
    Route(
        method="POST",
        path=_SPACE + "/rooms",
        handle=post_room,
        says="Make a room in a space.",
        reads=wire.CreateRoomRequest,
        status=201,
        also=(200,),
        refuses=(InvalidBody, *_CHANGES, Taken, LimitReached, InvalidValue),
        **_CHANGE,
    ),
    Route(
        method="GET",
        path=_ROOM,
        role="user",
        handle=get_room,
        says="Describe a room.",
        answers=wire.SpaceRoom,
        refuses=(NotFound,),
    ),
    Route(
        method="PATCH",
        path=_ROOM,
        handle=patch_room,
        says="Rename a room, give it another topic, place or group, archive it or take it back.",
        reads=wire.UpdateRoomRequest,
        refuses=(InvalidBody, *_CHANGES, Taken, InvalidValue),
        **_CHANGE,
    ),
    Route(
        method="GET",
        path=_ROOM + "/pins",
        role="user",
        handle=list_pins,
        says="List the pinned messages of a room.",
        answers=wire.PinsAnswer,
        parameters=(AFTER, LIMIT),
        refuses=(NotFound, InvalidParameter),
    ),
    Route(
        method="PUT",
        path=_ROOM + "/read",
        role="user",
        handle=put_read,
        says="Say how far the user has read a room; a marker never goes back.",
        reads=wire.ReadRequest,
        answers=wire.ReadAnswer,
        refuses=(InvalidBody, NotFound),
    ),
    Route(
        method="GET",
        path=_ROOM + "/messages/{message}/edits",
        role="user",
        handle=list_edits,
        says="List what a message said before it was edited.",
        answers=wire.EditsAnswer,
        parameters=(AFTER, LIMIT),
        refuses=(NotFound, InvalidParameter),
    ),
    Route(
        method="GET",
        path=_SPACE + "/groups",
        role="user",
        handle=list_groups,
        says="List the groups of a space's rooms in their order.",
        answers=wire.GroupsAnswer,
        refuses=(NotFound,),
    ),
    Route(
        method="POST",
        path=_SPACE + "/groups",
        handle=post_group,
        says="Make a group of rooms.",
        reads=wire.CreateGroupRequest,
        status=201,
        also=(200,),
        refuses=(InvalidBody, *_CHANGES, Taken, LimitReached, InvalidValue),
        **_CHANGE,
    ),
    Route(
        method="PATCH",
        path=_SPACE + "/groups/{group}",
        handle=patch_group,
        says="Give a group another name or place.",
        reads=wire.UpdateGroupRequest,
        refuses=(InvalidBody, *_CHANGES, Taken, InvalidValue),
        **_CHANGE,
    ),
    Route(
        method="DELETE",
        path=_SPACE + "/groups/{group}",
        handle=delete_group,
        says="Take a group away; its rooms stay.",
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, *_CHANGES),
        **_CHANGE,
    ),
)
