"""`/v1/me/settings`, `/v1/me/signing-keys`, `/v1/me/space-keys`: what users keep for their own devices."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from chat import (
    ClientIdReused,
    InvalidValue,
    LimitReached,
    NotFound,
    SealedSettings,
    VersionConflict,
)
from dataserver.answers import AnyAnswer, json_answer
from dataserver.chat_parameters import (
    CLIENT_ID,
    IF_MATCH,
    client_id,
    if_match,
    number_parameter,
    page,
    path_id,
    whole_number,
)
from dataserver.chat_wire import ActionAnswer, ClientId
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Route


class SaveSettingsRequest(SealedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings, sealed and signed, in place of the version before theirs (or that of `If-Match`)."""

    client_id: ClientId


class SavedSettingsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a save did."""

    client_id: str
    version: int
    duplicate: bool


class SigningKeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key, in base64."""

    client_id: ClientId
    algorithm: Literal["ed448", "ed25519"]
    public_key: Annotated[
        str,
        msgspec.Meta(
            max_length=200, extra_json_schema={"pattern": "^[A-Za-z0-9+/]{43}=$|^[A-Za-z0-9+/]{76}$"}
        ),
    ]


class SigningKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A registered key."""

    id: str
    algorithm: str
    public_key: str
    created_at_ms: int


class SigningKeysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The user's keys."""

    keys: list[SigningKeyView]


class SpaceKeysRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that changed, by space; opaque to the server."""

    client_id: ClientId
    keys: Annotated[
        dict[str, Annotated[str, msgspec.Meta(extra_json_schema={"maxLength": 8_192})]],
        msgspec.Meta(
            extra_json_schema={"maxProperties": 2_000, "propertyNames": {"pattern": "^[1-9][0-9]{0,14}$"}}
        ),
    ]


class SpaceKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """The key of a space."""

    space: str
    version: int
    blob: str


class SpaceKeysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of keys in the order of their versions; ask again after the last one until none come."""

    keys: list[SpaceKeyView]


_SAVE: Final = msgspec.json.Decoder(SaveSettingsRequest)
_REGISTER: Final = msgspec.json.Decoder(SigningKeyRequest)
_KEYS: Final = msgspec.json.Decoder(SpaceKeysRequest)


async def get_settings(exchange: Exchange) -> AnyAnswer:
    """Answer the user's settings as they were sealed."""
    found = await exchange.services.chat.settings.current(exchange.session.user_id)
    if found is None:
        raise NotFound("no settings are saved here", what="settings")
    return json_answer(found, headers=((b"etag", f'"{found["version"]}"'.encode()),))


async def put_settings(exchange: Exchange) -> AnyAnswer:
    """Store settings, if nobody stored others meanwhile."""
    asked = await exchange.json(_SAVE)
    known = if_match(exchange)
    base_version = asked.version - 1 if known is None else known
    return json_answer(
        await exchange.services.chat.settings.save(
            exchange.session.user_id, asked.client_id, asked, base_version=base_version
        )
    )


async def list_signing_keys(exchange: Exchange) -> AnyAnswer:
    """Answer the user's signing keys."""
    return page(await exchange.services.chat.signing_keys.list(exchange.session.user_id))


async def post_signing_key(exchange: Exchange) -> AnyAnswer:
    """Accept what a key signs from now on."""
    asked = await exchange.json(_REGISTER)
    return json_answer(
        await exchange.services.chat.signing_keys.register(
            exchange.session.user_id, asked.client_id, algorithm=asked.algorithm, public_key=asked.public_key
        ),
        status=201,
    )


async def delete_signing_key(exchange: Exchange) -> AnyAnswer:
    """Accept nothing any more that a key signs."""
    return json_answer(
        await exchange.services.chat.signing_keys.unregister(
            exchange.session.user_id, client_id(exchange), path_id(exchange, "id", "signing_key")
        )
    )


async def get_space_keys(exchange: Exchange) -> AnyAnswer:
    """Answer the keys above a version."""
    since = whole_number(exchange, "since", 0)
    return page(await exchange.services.chat.space_keys.changed_since(exchange.session.user_id, since))


async def put_space_keys(exchange: Exchange) -> AnyAnswer:
    """Store the keys that changed."""
    asked = await exchange.json(_KEYS)
    return json_answer(
        await exchange.services.chat.space_keys.put(exchange.session.user_id, asked.client_id, asked.keys)
    )


_ANSWER: Final[dict[str, Any]] = {"role": "user", "answers": ActionAnswer}

ROUTES = (
    Route(
        method="GET",
        path="/v1/me/settings",
        role="user",
        handle=get_settings,
        says="Read one's own settings, which only one's own devices can open.",
        answers=SealedSettings,
        refuses=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/v1/me/settings",
        role="user",
        handle=put_settings,
        says="Save one's own settings, unless another version than that of `If-Match` is there.",
        reads=SaveSettingsRequest,
        answers=SavedSettingsAnswer,
        parameters=(IF_MATCH,),
        refuses=(InvalidBody, InvalidParameter, VersionConflict, InvalidValue, NotFound, ClientIdReused),
    ),
    Route(
        method="GET",
        path="/v1/me/signing-keys",
        role="user",
        handle=list_signing_keys,
        says="List the keys with which one's settings are signed.",
        answers=SigningKeysAnswer,
    ),
    Route(
        method="POST",
        path="/v1/me/signing-keys",
        handle=post_signing_key,
        says="Register a key.",
        reads=SigningKeyRequest,
        status=201,
        refuses=(InvalidBody, InvalidValue, LimitReached, ClientIdReused),
        **_ANSWER,
    ),
    Route(
        method="DELETE",
        path="/v1/me/signing-keys/{id}",
        handle=delete_signing_key,
        says="Unregister a key.",
        parameters=(CLIENT_ID,),
        refuses=(NotFound, InvalidParameter, InvalidValue, ClientIdReused),
        **_ANSWER,
    ),
    Route(
        method="GET",
        path="/v1/me/space-keys",
        role="user",
        handle=get_space_keys,
        says="Read the keys of spaces that are newer than a version.",
        answers=SpaceKeysAnswer,
        parameters=(number_parameter("since", "The version seen last; 0 for all."),),
        refuses=(InvalidParameter,),
    ),
    Route(
        method="PUT",
        path="/v1/me/space-keys",
        handle=put_space_keys,
        says="Save the keys of spaces that changed.",
        reads=SpaceKeysRequest,
        refuses=(InvalidBody, InvalidValue, NotFound, ClientIdReused),
        **_ANSWER,
    ),
)
