"""The server's HTTP interface as the client calls it: JSON in and out, tokens renewed by itself, errors by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import anyio
import httpx2
import msgspec

from chat.client.errors_of import delivery_error, wire_error
from chat.client.logins import Login
from chat.errors import AnswerLost, AuthExpired, ChatError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chat.client.logins import Logins

_NEVER_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)
_NOT_AUTHENTICATED: Final = 401


class StoreTaken(ChatError):
    """The store holds what another user has read and not yet sent; use a store of your own."""

    def __init__(self, name: str) -> None:
        super().__init__(f"this store is that of the user {name!r}")
        self.name = name


class _Issued(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str
    user_id: str
    name: str


class _Call(NamedTuple):
    method: str
    path: str
    body: Any = None
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] = {}


class Api:
    """Calls one server for one login."""

    def __init__(self, http: httpx2.AsyncClient, logins: Logins) -> None:
        self._http = http
        self._logins = logins
        self._renewing = anyio.Lock()

    @property
    def login(self) -> Login:
        """Who is logged in.

        Raises:
            AuthExpired: Nobody is.
        """
        found = self._logins.current
        if found is None or not found.refresh_token:
            raise AuthExpired("log in first", code="not_logged_in")
        return found

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the server's answer; an access token that has ended is renewed, once.

        Raises:
            Unreachable: The server was not called.
            AnswerLost: It was, and nobody knows what it did.
            AuthExpired: The login has ended.
            DeliveryError: What else the server says.
        """
        login, asked = self.login, _Call(method, path, body, params, headers or {})
        status, answer = await self._sent(asked, login.access_token)
        if status == _NOT_AUTHENTICATED:
            login = await self.renewed(login)
            status, answer = await self._sent(asked, login.access_token)
        return _checked(status, answer)

    async def renewed(self, former: Login) -> Login:
        """Return a login with new tokens, unless somebody has renewed `former` meanwhile; they are on disk by then.

        Raises:
            AuthExpired: The login has ended; the user has to log in again.
            DeliveryError: As `call`.
        """
        async with self._renewing:
            login = self.login
            if login.access_token != former.access_token:
                return login
            try:
                return await self._begin("/v1/auth/refresh", {"refresh_token": login.refresh_token})
            except AuthExpired:
                await self._logins.forget()
                raise

    async def begin_login(self, path: str, body: Mapping[str, Any]) -> Login:
        """Log in or register, and keep the tokens.

        Raises:
            StoreTaken: The store is another user's.
            DeliveryError: What the server says; name and password that do not belong together are `AuthExpired`.
        """
        async with self._renewing:
            owner = self._logins.current
            if owner is not None and owner.name != str(body["name"]).lower():
                raise StoreTaken(owner.name)
            return await self._begin(path, body)

    async def is_reachable(self) -> bool:
        """Tell whether the server answers at all; a probe for the queue."""
        try:
            await self._http.get("/healthz")
        except httpx2.HTTPError:
            return False
        return True

    async def end_login(self) -> None:
        """End the session at the server, if it can be told, and here."""
        try:
            await self.call("POST", "/v1/auth/logout")
        except (Unreachable, AnswerLost, AuthExpired):
            pass  # it ends by itself there: nobody has its tokens any more
        finally:
            await self._logins.forget()

    async def _begin(self, path: str, body: Mapping[str, Any]) -> Login:
        status, answer = await self._sent(_Call("POST", path, body))
        issued = msgspec.convert(_checked(status, answer), _Issued)
        login = Login(
            user_id=issued.user_id,
            name=issued.name,
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
        )
        await self._logins.save(login)
        return login

    async def _sent(self, asked: _Call, token: str | None = None) -> tuple[int, bytes]:
        headers = {"content-type": "application/json", **asked.headers}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        content = None if asked.body is None else msgspec.json.encode(asked.body)
        try:
            answer = await self._http.request(
                asked.method, asked.path, content=content, params=asked.params, headers=headers
            )
        except _NEVER_SENT as error:
            raise Unreachable(str(error)) from error
        except httpx2.HTTPError as error:
            raise AnswerLost(str(error) or type(error).__name__) from error
        return answer.status_code, answer.content


def part(text: str) -> str:
    """Return `text` as a part of an address."""
    return quote(text, safe="")


def _checked(status: int, answer: bytes) -> Any:
    if 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
        try:
            return msgspec.json.decode(answer) if answer else None
        except msgspec.MsgspecError as error:
            raise AnswerLost("the answer is no JSON") from error
    raise delivery_error(wire_error(status, answer), status)
