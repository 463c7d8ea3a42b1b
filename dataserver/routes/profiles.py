"""`/v1/me` and `/v1/users`: profiles and pictures."""

from __future__ import annotations

from typing import Final

import msgspec

from chat import (
    NO_CONTROLS,
    ClientIdReused,
    InvalidValue,
    NotFound,
    TooOften,
    VersionConflict,
)
from dataserver import account_wire
from dataserver.answers import Answer, AnyAnswer, json_answer
from dataserver.chat_parameters import (
    CLIENT_ID,
    IF_MATCH,
    IF_NONE_MATCH,
    LIMIT,
    PAGE_LIMIT,
    client_id,
    if_match,
    number_parameter,
    page,
    path_id,
    whole_number,
)
from dataserver.exchange import Exchange
from dataserver.refusals import BodyTooLarge, InvalidBody, InvalidParameter
from dataserver.route import Parameter, Route

_PROFILE: Final = msgspec.json.Decoder(account_wire.ProfileRequest)
_PICTURES: Final = (b"image/png", b"image/jpeg", b"image/gif", b"image/webp")
_HASH_DIGITS: Final = 64
_HEADERS: Final = (
    (b"cache-control", b"private, no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"content-disposition", b"inline"),
)
"""A picture that a stranger made is shown as one, and is never a page or a script."""


async def get_me(exchange: Exchange) -> AnyAnswer:
    """Answer who asks."""
    return page(await exchange.services.chat.profiles.me(exchange.session))


async def patch_profile(exchange: Exchange) -> AnyAnswer:
    """Merge fields into one's profile."""
    asked = await exchange.json(_PROFILE)
    return json_answer(
        await exchange.services.chat.profiles.update(
            exchange.session.user_id,
            asked.client_id,
            asked.fields,
            version=if_match(exchange),
        )
    )


async def put_avatar(exchange: Exchange) -> AnyAnswer:
    """Give oneself another picture."""
    change, image = client_id(exchange), await exchange.body()
    return json_answer(
        await exchange.services.chat.profiles.set_avatar(exchange.session.user_id, change, image)
    )


async def delete_avatar(exchange: Exchange) -> AnyAnswer:
    """Take one's picture away."""
    return json_answer(
        await exchange.services.chat.profiles.delete_avatar(exchange.session.user_id, client_id(exchange))
    )


async def get_own_avatar(exchange: Exchange) -> AnyAnswer:
    """Answer one's own picture."""
    return await _picture(exchange, exchange.session.user_id)


async def get_user(exchange: Exchange) -> AnyAnswer:
    """Answer the profile of somebody in one's spaces."""
    user_id = path_id(exchange, "id", "user")
    return page(await exchange.services.chat.profiles.get(exchange.session.user_id, user_id))


async def get_avatar(exchange: Exchange) -> AnyAnswer:
    """Answer the picture of somebody in one's spaces."""
    return await _picture(exchange, path_id(exchange, "id", "user"))


async def find_users(exchange: Exchange) -> AnyAnswer:
    """Answer the user of a name, or those in one's spaces who changed."""
    profiles, name = exchange.services.chat.profiles, exchange.parameter("name")
    if name is not None:
        return page(await profiles.named(name))
    if exchange.parameter("changed_after") is None:
        raise InvalidParameter("either name or changed_after is needed")
    return page(
        await profiles.changed(
            exchange.session.user_id,
            after=whole_number(exchange, "changed_after", 0),
            limit=whole_number(exchange, "limit", PAGE_LIMIT, least=1),
        )
    )


async def _picture(exchange: Exchange, user_id: int) -> AnyAnswer:
    known = exchange.headers.get(b"if-none-match", b"").strip().removeprefix(b"W/").strip(b'"')
    avatar = await exchange.services.chat.profiles.avatar(
        exchange.session.user_id, user_id, known=_digest(known)
    )
    headers = ((b"etag", b'"%s"' % avatar.hash.hex().encode()), *_HEADERS)
    kind = avatar.type.encode()
    if avatar.image is None:
        return Answer(b"", status=304, content_type=kind, headers=headers)
    return Answer(avatar.image, content_type=kind, headers=headers)


def _digest(tag: bytes) -> bytes | None:
    try:
        return bytes.fromhex(tag.decode()) if len(tag) == _HASH_DIGITS else None
    except ValueError:
        return None


ROUTES = (
    Route(
        method="GET",
        path="/v1/me",
        role="user",
        handle=get_me,
        says="Read who one is.",
        answers=account_wire.MeAnswer,
    ),
    Route(
        method="PATCH",
        path="/v1/me/profile",
        role="user",
        handle=patch_profile,
        says="Change fields of one's profile, unless another version than that of `If-Match` is there.",
        reads=account_wire.ProfileRequest,
        parameters=(IF_MATCH,),
        answers=account_wire.ProfileSavedAnswer,
        refuses=(InvalidBody, InvalidParameter, InvalidValue, VersionConflict, ClientIdReused),
    ),
    Route(
        method="GET",
        path="/v1/me/avatar",
        role="user",
        handle=get_own_avatar,
        says="Read one's picture.",
        media=_PICTURES,
        also=(304,),
        parameters=(IF_NONE_MATCH,),
        refuses=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/v1/me/avatar",
        role="user",
        handle=put_avatar,
        says="Give oneself a picture; what it is, is seen by its content.",
        reads_media=_PICTURES,
        answers=account_wire.AvatarAnswer,
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, InvalidValue, BodyTooLarge, ClientIdReused, TooOften),
    ),
    Route(
        method="DELETE",
        path="/v1/me/avatar",
        role="user",
        handle=delete_avatar,
        says="Take one's picture away.",
        answers=account_wire.AvatarAnswer,
        parameters=(CLIENT_ID,),
        refuses=(InvalidParameter, InvalidValue, ClientIdReused),
    ),
    Route(
        method="GET",
        path="/v1/users",
        role="user",
        handle=find_users,
        says="Find a user by name, or those in one's spaces whose profile or picture changed.",
        answers=account_wire.UsersAnswer,
        parameters=(
            Parameter(name="name", says="The whole name.", least=1, most=64, pattern=NO_CONTROLS),
            number_parameter(
                "changed_after",
                "Only what changed after this position, which the last answer said; 0 at first.",
            ),
            LIMIT,
        ),
        refuses=(InvalidParameter, InvalidValue),
    ),
    Route(
        method="GET",
        path="/v1/users/{id}",
        role="user",
        handle=get_user,
        says="Read the profile of somebody in one's spaces.",
        answers=account_wire.ProfileView,
        refuses=(NotFound,),
    ),
    Route(
        method="GET",
        path="/v1/users/{id}/avatar",
        role="user",
        handle=get_avatar,
        says="Read the picture of somebody in one's spaces.",
        media=_PICTURES,
        also=(304,),
        parameters=(IF_NONE_MATCH,),
        refuses=(NotFound,),
    ),
)
