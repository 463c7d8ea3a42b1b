"""What the HTTP side itself refuses, as exceptions; `errors.py` says how each is answered.

Refusal                     the root: the request was not carried out, and the text says why
├── Unauthenticated         no token, or none that is known
├── Forbidden               the token's role does not reach
├── RouteNotFound           no such address
├── MethodNotAllowed        the address exists, the method does not
├── NotAcceptable           none of the media types that the client accepts can be made
├── UnsupportedMediaType    the body is of another type than the route reads
├── BodyTooLarge            the body is past its bound
├── BodyTimedOut            the body did not arrive in time
├── InvalidBody             the body is not what the route reads
├── InvalidParameter        a path or query parameter is not what the route reads
│   ├── UnknownColumn       a filter or an order names a column that the table lacks
│   ├── UnknownOperator     a filter names an operator that does not exist
│   └── InvalidCursor       `after` is not a cursor of this table and order
├── TableNotFound           the database has no such table or view
├── RowNotFound             the table has no row under this key
├── RowsReadOnly            a view, or a table without a key: rows cannot be written one by one
├── BadImportLine           a line of an import is bad, and nothing of it was kept
├── ImportBrokenOff         an import failed in the middle, and what was stored before stays
├── TokenNotFound           no such token to revoke
├── TooManyTokens           the server keeps as many tokens as it may
├── TooManyConnections      as many clients are connected as may be
└── ServerDraining          the server is stopping
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The request was not carried out; the text is for the client and names what the client sent."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class Unauthenticated(Refusal):
    """No token came, or none that is known: send `Authorization: Bearer TOKEN`."""


class Forbidden(Refusal):
    """The token's role does not reach: use a token of the role in `details`."""


class RouteNotFound(Refusal):
    """There is no such address; `/openapi.json` lists them."""


class MethodNotAllowed(Refusal):
    """The address knows other methods: see `Allow`."""


class NotAcceptable(Refusal):
    """The client accepts none of the media types that the route makes; `details` names them."""


class UnsupportedMediaType(Refusal):
    """The route reads bodies of another media type; `details` names it."""


class BodyTooLarge(Refusal):
    """The body is past its bound: send less at a time."""


class BodyTimedOut(Refusal):
    """The body did not arrive in time: send the request again."""


class InvalidBody(Refusal):
    """The body is not what the route reads; the text says where."""


class InvalidParameter(Refusal):
    """A parameter is not what the route reads; the text names it and what is allowed."""


class UnknownColumn(InvalidParameter):
    """The table has no such column; `details` names those it has."""


class UnknownOperator(InvalidParameter):
    """There is no such operator; `details` names those there are."""


class InvalidCursor(InvalidParameter):
    """The cursor was not made by a page of this table in this order: start again without it."""


class TableNotFound(Refusal):
    """The database has no such table or view."""


class RowNotFound(Refusal):
    """The table has no row under this key."""


class RowsReadOnly(Refusal):
    """Rows of a view cannot be written; write to the tables under it."""


class BadImportLine(Refusal):
    """A line of an import is bad, and nothing was imported: mend the line in `details`, or let bad ones be skipped."""


class ImportBrokenOff(Refusal):
    """An import failed in the middle: `details` says how many lines are done; go on behind them."""


class TokenNotFound(Refusal):
    """There is no such token; it may have been revoked already."""


class TooManyTokens(Refusal):
    """The server keeps as many tokens as it may: revoke some first."""


class TooManyConnections(Refusal):
    """As many clients are connected as may be: come back later."""


class ServerDraining(Refusal):
    """The server is stopping: try again in a moment."""
