"""What a space's settings hold. Pure; what a change leaves out stays as it is, lists are replaced whole."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chat.domain.refusals import InvalidValue
from chat.domain.texts import MAX_NAME_CHARACTERS, MAX_TOPIC_CHARACTERS, check_text, told_line

_PictureName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Address = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
_RoleName = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]

NAME = "name"
DESCRIPTION = "description"


class Picture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An emoji or a sticker of a space's own."""

    name: _PictureName
    image: _Address
    """Where it is, or what; the server does not look."""


class RoleNames(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the roles are called in this space; null takes a name away."""

    owner: _RoleName | msgspec.UnsetType | None = msgspec.UNSET
    admin: _RoleName | msgspec.UnsetType | None = msgspec.UNSET
    moderator: _RoleName | msgspec.UnsetType | None = msgspec.UNSET
    member: _RoleName | msgspec.UnsetType | None = msgspec.UNSET


_Pictures = Annotated[list[Picture], msgspec.Meta(max_length=500)]


class SpaceFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of a space that change."""

    name: Annotated[str, told_line(1, MAX_NAME_CHARACTERS)] | msgspec.UnsetType = msgspec.UNSET
    description: Annotated[str, told_line(0, MAX_TOPIC_CHARACTERS)] | msgspec.UnsetType = msgspec.UNSET
    role_names: RoleNames | msgspec.UnsetType = msgspec.UNSET
    emoji: _Pictures | msgspec.UnsetType = msgspec.UNSET
    stickers: _Pictures | msgspec.UnsetType = msgspec.UNSET


def checked(fields: SpaceFields) -> dict[str, Any]:
    """Return the fields as plain values.

    Raises:
        InvalidValue: One breaks its rule, or there is none.
    """
    plain: dict[str, Any] = msgspec.to_builtins(fields)
    try:
        msgspec.convert(plain, SpaceFields)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"the settings break a rule: {error}", field="fields") from error
    if not plain:
        raise InvalidValue("no settings are given that change", field="fields")
    if NAME in plain:
        check_text(plain[NAME], NAME, MAX_NAME_CHARACTERS)
    if DESCRIPTION in plain:
        check_text(plain[DESCRIPTION], DESCRIPTION, MAX_TOPIC_CHARACTERS, least=0)
    return plain
