"""What the chat's routes read from addresses, queries and headers."""

from __future__ import annotations

from typing import Final

import msgspec

from chat import parsed_id
from dataserver.answers import AnyAnswer, json_answer
from dataserver.chat_wire import CLIENT_ID_PATTERN
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidParameter
from dataserver.route import Parameter

PAGE_LIMIT: Final = 100
MAX_NUMBER: Final = 2**53
_MAX_DIGITS: Final = 16

CLIENT_ID: Final = Parameter(
    name="client_id", says="The client id of this change.", pattern=CLIENT_ID_PATTERN, is_required=True
)


def number_parameter(name: str, says: str, *, least: int = 0) -> Parameter:
    """Return the description of a number, as `whole_number` and `optional_id` read it."""
    return Parameter(name=name, says=says, type="integer", least=least, most=MAX_NUMBER)


LIMIT: Final = number_parameter("limit", f"At most so many; {PAGE_LIMIT} unless it says otherwise.", least=1)
AFTER: Final = number_parameter("after", "Only what comes after this one; none for the first page.")
IF_MATCH: Final = Parameter(
    name="If-Match", says="The version that is to be changed.", pattern='^"?[0-9]{1,15}"?$', place="header"
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match", says="The tag of what the client has; it is not sent again.", place="header"
)


def client_id(exchange: Exchange) -> str:
    """Return the client id that the query has.

    Raises:
        InvalidParameter: It has none.
    """
    found = exchange.parameter("client_id")
    if found is None:
        raise InvalidParameter("the parameter client_id is missing: every change carries its own")
    return found


def path_id(exchange: Exchange, name: str, what: str) -> int:
    """Return an id of the address.

    Raises:
        NotFound: It can be none.
    """
    return parsed_id(exchange.path[name], what)


def whole_number(exchange: Exchange, name: str, default: int, *, least: int = 0) -> int:
    """Return a number of the query.

    Raises:
        InvalidParameter: It is no whole number, or out of bounds.
    """
    text = exchange.parameter(name)
    return default if text is None else _number(text, name, least)


def optional_id(exchange: Exchange, name: str) -> int | None:
    """Return an id of the query, None if it has none.

    Raises:
        InvalidParameter: It can be no id.
    """
    text = exchange.parameter(name)
    return None if text is None else _number(text, name, 1)


def if_match(exchange: Exchange) -> int | None:
    """Return the version that `If-Match` names, None without one.

    Raises:
        InvalidParameter: It is no version.
    """
    found = exchange.headers.get(b"if-match")
    return None if found is None else _number(found.decode("latin-1").strip('"'), "If-Match", 0)


def wished_page(exchange: Exchange) -> dict[str, int]:
    """Return which page the query asks for: behind which id, and how long.

    Raises:
        InvalidParameter: One is no whole number, or out of bounds.
    """
    limit = whole_number(exchange, "limit", PAGE_LIMIT, least=1)
    return {"after": whole_number(exchange, "after", 0), "limit": limit}


def page(text: bytes) -> AnyAnswer:
    """Answer with what the database wrote."""
    return json_answer(msgspec.Raw(text))


def _number(text: str, name: str, least: int) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not is_number or not least <= int(text) <= MAX_NUMBER:
        raise InvalidParameter(f"{name} is {text[:64]!r}; a whole number from {least} is allowed")
    return int(text)
