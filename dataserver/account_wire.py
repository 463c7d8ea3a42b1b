"""Bodies of requests and answers about accounts and profiles."""

from __future__ import annotations

from typing import Annotated

import msgspec

from chat import NO_CONTROLS
from dataserver.chat_wire import ClientId

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, extra_json_schema={"pattern": NO_CONTROLS})]
NewName = Annotated[Name, msgspec.Meta(extra_json_schema={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"})]
Password = Annotated[str, msgspec.Meta(max_length=1_024)]
NewPassword = Annotated[Password, msgspec.Meta(extra_json_schema={"minLength": 8})]
Label = Annotated[str, msgspec.Meta(max_length=100, extra_json_schema={"pattern": NO_CONTROLS})]
FieldText = Annotated[
    str,
    msgspec.Meta(max_length=4_000, extra_json_schema={"pattern": "^[^\\u0000-\\u0008\\u000b-\\u001f]*$"}),
]
ProfileFields = Annotated[
    dict[str, FieldText | None],
    msgspec.Meta(
        extra_json_schema={
            "minProperties": 1,
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,31}$"},
            "properties": {
                "display_name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": NO_CONTROLS}
            },
        }
    ),
]
"""What the domain asks beyond a type is told here and checked there."""


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account, and the device that asks for it."""

    name: NewName
    password: NewPassword
    display_name: Label = ""
    device: Label = ""
    """A word to know the device by."""


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who logs in, and on what."""

    name: Name
    password: Password
    device: Label = ""


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The refresh token of a device; a page's is in its cookie."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=256)] = ""


class PasswordRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password; all other sessions of the user end."""

    current: Password
    new: NewPassword


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device on which the user is logged in."""

    id: str
    label: str
    created_at_ms: int
    seen_at_ms: int
    """When it got its present tokens."""
    is_this: bool
    """Whether it is the one that asks."""


class DevicesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The user's devices, the one seen last first."""

    devices: list[DeviceView]


class ProfileView(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of themselves."""

    id: str
    name: str
    display_name: str
    fields: dict[str, str]
    version: int
    """Of the display name and the fields."""
    avatar: str | None
    """The tag of the picture, if there is one; another picture has another."""


class MeAnswer(ProfileView, frozen=True, kw_only=True):
    """The user, as only they see it."""

    server_role: str | None
    created_at_ms: int
    device: str
    """The one that asks."""
    epoch: str
    """Of the user's own stream, whose id is the user's."""
    last_seq: int


class UserView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user in a list."""

    id: str
    name: str
    display_name: str
    version: int | None = None
    avatar: str | None = None


class UsersAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Users."""

    users: list[UserView]
    position: int | None = None
    """What to ask for the next time, as `changed_after`."""


class ProfileRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of a profile that change, `display_name` among them; null takes one away."""

    client_id: ClientId
    fields: ProfileFields


class ProfileSavedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a profile did."""

    client_id: str
    duplicate: bool
    version: int


class AvatarAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a change of a picture did."""

    client_id: str
    duplicate: bool
    avatar: str | None = None
    """The tag of the new picture."""
