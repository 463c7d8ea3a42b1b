"""What the command line may ask about users of the chat, as messages, and the one place that carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from dataserver.auth import Role
from dataserver.refusals import RouteNotFound

if TYPE_CHECKING:
    from chat import Chat


class CreateUser(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="create_user"):
    """Make a user; `Done` holds the id."""

    name: str
    password: str
    display_name: str = ""
    role: Role | None = None


class ListUsers(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="list_users"):
    """List users by their names, a page at a time."""

    after: str = ""


class AllowUser(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="allow_user"):
    """Let a user log in, or no more; then their sessions end."""

    name: str
    is_allowed: bool


class SetPassword(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="set_password"):
    """Give a user another password; their sessions end."""

    name: str
    password: str


class SetRole(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="set_role"):
    """Say what a user may do with databases and the server; None for nothing."""

    name: str
    role: Role | None


UserCommand = CreateUser | ListUsers | AllowUser | SetPassword | SetRole


async def user_command_done(command: UserCommand, chat: Chat | None) -> Any:
    """Carry it out, and return what it answers.

    Raises:
        ChatRefusal: As `chat.accounts.users`.
        RouteNotFound: There is no chat here.
    """
    if chat is None:
        raise RouteNotFound("there is no chat here")
    users = chat.accounts.users
    match command:
        case CreateUser():
            user_id = await users.create(
                command.name, command.password, display_name=command.display_name, server_role=command.role
            )
            return {"id": str(user_id), "name": command.name.lower()}
        case ListUsers():
            return msgspec.to_builtins(await users.listed(after=command.after))
        case AllowUser():
            await users.set_disabled(command.name, is_disabled=not command.is_allowed)
        case SetPassword():
            await users.set_password(command.name, command.password)
        case SetRole():
            await users.set_role(command.name, command.role)
        case _:
            assert_never(command)
    return None
