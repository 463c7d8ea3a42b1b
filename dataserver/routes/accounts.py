"""`/v1/auth`: accounts, logins and devices."""

from __future__ import annotations

from typing import Final

import msgspec

from chat import (
    InvalidValue,
    IssuedSession,
    LimitReached,
    NotFound,
    NotPermitted,
    Taken,
    TooOften,
    UnknownSession,
    WrongPassword,
)
from dataserver import account_wire, cookies
from dataserver.answers import AnyAnswer, Headers, json_answer
from dataserver.chat_parameters import page, path_id
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody
from dataserver.route import Route

_REGISTER: Final = msgspec.json.Decoder(account_wire.RegisterRequest)
_LOGIN: Final = msgspec.json.Decoder(account_wire.LoginRequest)
_REFRESH: Final = msgspec.json.Decoder(account_wire.RefreshRequest)
_PASSWORD: Final = msgspec.json.Decoder(account_wire.PasswordRequest)


async def register(exchange: Exchange) -> AnyAnswer:
    """Make an account, and log the device in that asked."""
    asked = await exchange.json(_REGISTER)
    issued = await exchange.services.chat.accounts.register(
        asked.name,
        asked.password,
        display_name=asked.display_name,
        device=asked.device,
        address=_address(exchange),
    )
    return _tokens(exchange, issued, status=201)


async def login(exchange: Exchange) -> AnyAnswer:
    """Log a device in."""
    asked = await exchange.json(_LOGIN)
    issued = await exchange.services.chat.accounts.login(
        asked.name, asked.password, device=asked.device, address=_address(exchange)
    )
    return _tokens(exchange, issued)


async def refresh(exchange: Exchange) -> AnyAnswer:
    """Exchange a refresh token for a new pair."""
    asked = await exchange.json(_REFRESH)
    token = asked.refresh_token or cookies.refresh_token(exchange.headers)
    issued = await exchange.services.chat.accounts.refresh(token, address=_address(exchange))
    return _tokens(exchange, issued)


async def logout(exchange: Exchange) -> AnyAnswer:
    """End the session."""
    await exchange.services.chat.accounts.logout(exchange.session)
    return json_answer({}, headers=cookies.no_cookies(exchange.scope))


async def change_password(exchange: Exchange) -> AnyAnswer:
    """Change the password; all other sessions end."""
    asked = await exchange.json(_PASSWORD)
    await exchange.services.chat.accounts.change_password(exchange.session, asked.current, asked.new)
    return json_answer({})


async def list_devices(exchange: Exchange) -> AnyAnswer:
    """Answer the devices on which the user is logged in."""
    return page(await exchange.services.chat.accounts.devices(exchange.session))


async def delete_device(exchange: Exchange) -> AnyAnswer:
    """End the session of a device of one's own."""
    device_id = path_id(exchange, "id", "device")
    await exchange.services.chat.accounts.end_device(exchange.session, device_id)
    return json_answer({})


def _tokens(exchange: Exchange, issued: IssuedSession, *, status: int = 200) -> AnyAnswer:
    headers: Headers = ((b"cache-control", b"no-store"),)
    if cookies.is_page(exchange.headers):
        headers += cookies.cookies_of(issued, exchange.scope)
        issued = msgspec.structs.replace(issued, access_token="", refresh_token="")  # no script sees them
    return json_answer(issued, status=status, headers=headers)


def _address(exchange: Exchange) -> str | None:
    client = exchange.scope.get("client")
    return None if client is None else client[0]


ROUTES = (
    Route(
        method="POST",
        path="/v1/auth/register",
        role=None,
        handle=register,
        says="Make an account, and log this device in.",
        reads=account_wire.RegisterRequest,
        answers=IssuedSession,
        status=201,
        refuses=(InvalidBody, InvalidValue, Taken, NotPermitted, TooOften, LimitReached),
    ),
    Route(
        method="POST",
        path="/v1/auth/login",
        role=None,
        handle=login,
        says="Log this device in.",
        reads=account_wire.LoginRequest,
        answers=IssuedSession,
        refuses=(InvalidBody, InvalidValue, WrongPassword, NotPermitted, TooOften, LimitReached),
    ),
    Route(
        method="POST",
        path="/v1/auth/refresh",
        role=None,
        handle=refresh,
        says="Exchange a refresh token for new tokens; the ones before are good until these are used.",
        reads=account_wire.RefreshRequest,
        answers=IssuedSession,
        refuses=(InvalidBody, UnknownSession, TooOften, LimitReached),
    ),
    Route(
        method="POST",
        path="/v1/auth/logout",
        role="user",
        handle=logout,
        says="End this session.",
        refuses=(NotFound,),
    ),
    Route(
        method="POST",
        path="/v1/auth/password",
        role="user",
        handle=change_password,
        says="Change one's password; all other sessions end.",
        reads=account_wire.PasswordRequest,
        refuses=(InvalidBody, InvalidValue, WrongPassword, TooOften),
    ),
    Route(
        method="GET",
        path="/v1/auth/devices",
        role="user",
        handle=list_devices,
        says="List the devices on which one is logged in.",
        answers=account_wire.DevicesAnswer,
    ),
    Route(
        method="DELETE",
        path="/v1/auth/devices/{id}",
        role="user",
        handle=delete_device,
        says="End the session of one of one's devices.",
        refuses=(NotFound,),
    ),
)
