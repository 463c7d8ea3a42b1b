"""`/v1/tokens`: who may use the server."""

from __future__ import annotations

from typing import Final

import msgspec

from dataserver.answers import AnyAnswer, json_answer
from dataserver.auth import IssuedToken, Token
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody, TokenNotFound, TooManyTokens
from dataserver.route import Route
from dataserver.wire import TokenRequest, TokensAnswer

_DECODER: Final = msgspec.json.Decoder(TokenRequest)


async def list_tokens(exchange: Exchange) -> AnyAnswer:
    """Answer all tokens, without their texts."""
    return json_answer(TokensAnswer(tokens=exchange.services.tokens.list()))


async def post_token(exchange: Exchange) -> AnyAnswer:
    """Make a token and answer its text, this once."""
    asked = await exchange.json(_DECODER)
    issued = await exchange.services.tokens.create(name=asked.name, role=asked.role)
    return json_answer(issued, status=201, headers=((b"cache-control", b"no-store"),))


async def delete_token(exchange: Exchange) -> AnyAnswer:
    """Make a token worthless."""
    return json_answer(await exchange.services.tokens.revoke(exchange.path["id"]))


ROUTES = (
    Route(
        method="GET",
        path="/v1/tokens",
        role="admin",
        handle=list_tokens,
        says="List the tokens, without their texts.",
        answers=TokensAnswer,
    ),
    Route(
        method="POST",
        path="/v1/tokens",
        role="admin",
        handle=post_token,
        says="Create a token; its text is in this answer and nowhere else.",
        reads=TokenRequest,
        answers=IssuedToken,
        status=201,
        refuses=(InvalidBody, TooManyTokens),
    ),
    Route(
        method="DELETE",
        path="/v1/tokens/{id}",
        role="admin",
        handle=delete_token,
        says="Revoke a token.",
        answers=Token,
        refuses=(TokenNotFound,),
    ),
)
