"""`/v1/admin/users`: the users of the chat, as those who run the server see them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import structlog

import chat
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, InvalidParameter, RouteNotFound
from dataserver.route import Parameter, Route

MAX_PAGE_COUNT: Final = 200
_MAX_DIGITS: Final = 9
_PATH: Final = "/v1/admin/users"

_log = structlog.get_logger(__name__)


class UsersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of users, by their names."""

    users: list[chat.UserRow]
    next_after: str | None
    """What `after` is for the next page; None if this is the last one."""


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a user may log in."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    is_allowed: bool


class AccessAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the user may log in from now on."""

    name: str
    is_allowed: bool


_DECODER: Final = msgspec.json.Decoder(AccessRequest)


async def list_users(exchange: Exchange) -> AnyAnswer:
    """Answer a page."""
    limit = _limit(exchange.parameter("limit") or str(MAX_PAGE_COUNT))
    after, having = exchange.parameter("after") or "", exchange.parameter("having") or ""
    found = await exchange.services.chat.accounts.users.listed(after=after, limit=limit + 1, having=having)
    page = found[:limit]
    return json_answer(UsersAnswer(users=page, next_after=page[-1].name if len(found) > limit else None))


async def patch_user(exchange: Exchange) -> AnyAnswer:
    """Let a user log in, or no more."""
    asked = await exchange.json(_DECODER)
    await exchange.services.chat.accounts.users.set_disabled(asked.name, is_disabled=not asked.is_allowed)
    principal = exchange.principal
    by = None if principal is None else principal.token_id
    _log.info("admin.user_access_set", user=asked.name, is_allowed=asked.is_allowed, by=by)
    return json_answer(AccessAnswer(name=asked.name.lower(), is_allowed=asked.is_allowed))


def _limit(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not is_number or not 1 <= int(text) <= MAX_PAGE_COUNT:
        raise InvalidParameter(f"limit is {text[:64]!r}; 1 to {MAX_PAGE_COUNT} is allowed")
    return int(text)


ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        role="admin",
        handle=list_users,
        says="List the users of the chat by their names, with their roles, devices and when they were last seen.",
        answers=UsersAnswer,
        parameters=(
            Parameter(name="after", says="Only users after this name."),
            Parameter(
                name="limit",
                says="At most so many; 200 unless it says otherwise.",
                type="integer",
                least=1,
                most=MAX_PAGE_COUNT,
            ),
            Parameter(name="having", says="Only users whose name or display name has this in it."),
        ),
        refuses=(InvalidParameter, RouteNotFound),
    ),
    Route(
        method="PATCH",
        path=_PATH,
        role="admin",
        handle=patch_user,
        says="Let a user log in, or no more: then all their sessions end at once.",
        reads=AccessRequest,
        answers=AccessAnswer,
        refuses=(InvalidBody, RouteNotFound, chat.NotFound),
    ),
)
