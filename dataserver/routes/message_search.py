"""`GET /v1/search`: messages by their words."""

from __future__ import annotations

from typing import Final, Literal

from chat import InvalidValue, SearchQuery, TooOften
from dataserver import spaces_wire as wire
from dataserver.answers import AnyAnswer
from dataserver.chat_parameters import number_parameter, optional_id, page, whole_number
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
            Parameter(name="q", says="The words.", least=1, most=1_000, is_required=True),
            Parameter(
                name="order", says="`best` (unless it says otherwise) or `newest`.", one_of=("best", "newest")
            ),
            number_parameter("room", "Only in this room.", least=1),
            number_parameter("space", "Only in this space.", least=1),
            number_parameter("sender", "Only of this user.", least=1),
            number_parameter("skip", "Of the best, leave out so many."),
            number_parameter("before", "Of the newest, only those before this message.", least=1),
            number_parameter("limit", f"At most so many; {HIT_LIMIT} unless it says otherwise.", least=1),
        ),
        refuses=(InvalidParameter, InvalidValue, TooOften),
    ),
)
