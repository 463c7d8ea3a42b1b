"""Who is logged in on this device: the tokens, kept in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

if TYPE_CHECKING:
    from chat.domain.tables import Tables


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A session with the server."""

    user_id: str
    name: str
    access_token: str
    refresh_token: str

    @override
    def __repr__(self) -> str:
        """Say whose it is, not what the tokens are."""
        return f"<login of {self.name!r}>"


class Logins:
    """The login of one store; `current` is None where nobody is."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.current: Login | None = None

    async def load(self) -> None:
        """Read what the store has."""
        row = await self._tables.one("login")
        if row is not None:
            self.current = Login(user_id=row[0], name=row[1], access_token=row[2], refresh_token=row[3])

    async def save(self, login: Login) -> None:
        """Have this login from now on; it is on disk when this returns."""
        await self._tables.write(
            "save_login", login.user_id, login.name, login.access_token, login.refresh_token
        )
        self.current = login

    async def forget(self) -> None:
        """Have no tokens any more; the store stays its user's."""
        if self.current is not None:
            await self.save(msgspec.structs.replace(self.current, access_token="", refresh_token=""))
