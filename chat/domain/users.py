"""Users, as those who run the server keep them: made, listed, disabled, given passwords and roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chat.domain.refusals import InvalidValue, NotFound, Taken
from chat.domain.spaces import new_epoch
from chat.domain.texts import check_text
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from chat.domain.devices import Devices
    from chat.domain.passwords import Passwords
    from chat.domain.tables import Tables
    from workers import Clock

MAX_NAME_CHARACTERS: Final = 64
MAX_DISPLAY_NAME_CHARACTERS: Final = 100
MAX_PAGE_COUNT: Final = 1_000
SERVER_ROLES: Final = ("read", "write", "admin")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class UserRow(msgspec.Struct, frozen=True):
    """A user, as those who run the server see it; a struct, so that the server can answer with it."""

    id: str
    name: str
    display_name: str
    server_role: str | None
    created_at_ms: int
    disabled_at_ms: int | None
    device_count: int
    seen_at_ms: int | None
    """When one of the devices that are logged in got its present tokens; None without any."""


class Users:
    """Makes and changes users."""

    def __init__(self, tables: Tables, passwords: Passwords, devices: Devices, clock: Clock) -> None:
        self._tables = tables
        self._passwords = passwords
        self._devices = devices
        self._clock = clock

    async def create(
        self, name: str, password: str, *, display_name: str = "", server_role: str | None = None
    ) -> int:
        """Make an account, whether registration is open or not, and return the user's id.

        Raises:
            InvalidValue, Taken, TooOften: As their names say.
        """
        return (await self.made(name, password, display_name=display_name, server_role=server_role))[0]

    async def listed(
        self, *, after: str = "", limit: int = MAX_PAGE_COUNT, having: str = ""
    ) -> list[UserRow]:
        """Return users in the order of their names, for those who run the server; with `having`, whose names have that."""
        rows = await self._tables.all("users", after, max(1, min(limit, MAX_PAGE_COUNT)), having.lower())
        return [UserRow(*row) for row in rows]

    async def set_disabled(self, name: str, *, is_disabled: bool) -> None:
        """Let a user log in no more, and end their sessions; or let them again.

        Raises:
            NotFound: There is no such user.
        """
        user_id = await self._found(name)
        if is_disabled:
            since_ms = int(self._clock.now() * 1000)
            await self._devices.end_all(user_id, ("set_disabled", (user_id, since_ms)), "user_disabled")
        else:
            await self._tables.write("set_disabled", user_id, None)

    async def set_password(self, name: str, password: str) -> None:
        """Give a user another password, and end all their sessions.

        Raises:
            NotFound: There is no such user.
            InvalidValue, TooOften: As their names say.
        """
        user_id = await self._found(name)
        hashed = await self._passwords.hashed(password)
        await self._devices.end_all(user_id, ("set_password", (user_id, hashed)), "password_changed")

    async def set_role(self, name: str, server_role: str | None) -> None:
        """Let a user do more or less with databases and the server itself; it counts at once.

        Raises:
            NotFound: There is no such user.
            InvalidValue: There is no such role.
        """
        _check_role(server_role)
        await self._devices.change_role(await self._found(name), server_role)

    async def made(
        self, name: str, password: str, *, display_name: str = "", server_role: str | None = None
    ) -> tuple[int, str]:
        """Make a user, and return the id and what is kept of the password.

        Raises:
            InvalidValue, Taken, TooOften: As their names say.
        """
        _check_role(server_role)
        if not _NAME.fullmatch(name.lower()):
            raise InvalidValue(
                f"the name has to be 1 to {MAX_NAME_CHARACTERS} of a-z, 0-9, '.', '_' and '-', no sign first",
                field="name",
            )
        check_text(display_name, "display_name", MAX_DISPLAY_NAME_CHARACTERS, least=0)
        if await self._tables.one("user_named", name.lower(), name.lower()) is not None:
            raise _taken(name)  # before the work of hashing
        hashed = await self._passwords.hashed(password)
        now_ms = int(self._clock.now() * 1000)
        made = Earlier(0, "id")
        row = (made, name.lower(), display_name or name, hashed, server_role, now_ms)
        try:
            written = await self._tables.write_all([("new_stream", ("user", new_epoch())), ("new_user", row)])
        except ConstraintViolated as error:
            raise _taken(name) from error
        return written[0].rows[0][0], hashed

    async def _found(self, name: str) -> int:
        row = await self._tables.one("user_named", name, name.lower())
        if row is None:
            raise NotFound(f"there is no user {name[:MAX_NAME_CHARACTERS]!r}", what="user")
        found: int = row[0]
        return found


def _check_role(server_role: str | None) -> None:
    if server_role is not None and server_role not in SERVER_ROLES:
        raise InvalidValue(
            f"the role is {server_role[:20]!r}; {', '.join(SERVER_ROLES)} are allowed", field="server_role"
        )


def _taken(name: str) -> Taken:
    return Taken(f"somebody has the name {name.lower()!r} already", field="name")
