"""`GET /v1/search`: messages by their words."""

from __future__ import annotations

from typing import Final, Literal

from chat import InvalidValue, SearchQuery
from dataserver import spaces_wire as wire
from dataserver.answers import AnyAnswer
from dataserver.chat_parameters import optional_id, page, whole_number
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidParameter
from dataserver.route import Parameter, Route

HIT_LIMIT: Final = 20


async def search_messages(exchange: Exchange) -> AnyAnswer:
    """Answer messages with the words asked for."""
    query = SearchQuery(
        query=exchange.parameter("q") or "",
        order=_order(exchange),
        room_id=optional_id(exchange, "room"),
        space_id=optional_id(exchange, "space"),
        sender_id=optional_id(exchange, "sender"),
        skip=whole_number(exchange, "skip", 0),
        before=optional_id(exchange, "before"),
        limit=whole_number(exchange, "limit", HIT_LIMIT, least=1),
    )
    return page(await exchange.services.chat.search.find(exchange.session.user_id, query))


def _order(exchange: Exchange) -> Literal["best", "newest"]:
    match exchange.parameter("order"):
        case None | "best":
            return "best"
        case "newest":
            return "newest"
        case other:
            raise InvalidParameter(f"order is {other[:64]!r}; best and newest are allowed")


ROUTES = (
    Route(
        method="GET",
        path="/v1/search",
        role="user",
        handle=search_messages,
        says="Find messages by their words, in the syntax of FTS5, in all rooms that the user may read.",
        answers=wire.SearchAnswer,
        parameters=(
            Parameter(name="q", says="The words."),
            Parameter(name="order", says="`best` (unless it says otherwise) or `newest`."),
            Parameter(name="room", says="Only in this room."),
            Parameter(name="space", says="Only in this space."),
            Parameter(name="sender", says="Only of this user."),
            Parameter(name="skip", says="Of the best, leave out so many.", type="integer"),
            Parameter(name="before", says="Of the newest, only those before this message."),
            Parameter(
                name="limit", says=f"At most so many; {HIT_LIMIT} unless it says otherwise.", type="integer"
            ),
        ),
        refuses=(InvalidParameter, InvalidValue),
    ),
)
