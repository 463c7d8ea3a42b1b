"""How each exception is answered: one table from its type to status, class, public code, log level and text.

A type that is not in the table is looked up by its bases; one without a base there is a bug of ours: 500, code
`internal`, no detail for the client, and one traceback in the log. The text of an exception reaches the client only
where the table has no text of its own: those whose text may name a path or another user's data have one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

import chat
import storage
from dataserver import refusals

ErrorClass = Literal["transient", "permanent", "auth", "conflict", "rate", "unknown"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, for a program (`code`, `class`) and for a person (`message`)."""

    code: str
    class_: ErrorClass = msgspec.field(name="class")
    """What the sender should do: `transient` try again, `permanent` don't, `unknown` look it up first."""
    message: str
    retry_after_ms: int | None = None
    details: dict[str, Any] | None = None
    """What depends on the code: the offset in the SQL, the kind of a constraint, what is allowed."""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is no success."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Answering:
    """How one type of exception is answered."""

    status: int
    class_: ErrorClass
    code: str
    level: LogLevel = "debug"
    message: str | None = None
    """The public text where the exception's own is not for the client."""


INTERNAL = Answering(500, "unknown", "internal", "error", "internal error; the server's log has the details")

ANSWERS: dict[type[BaseException], Answering] = {
    refusals.Unauthenticated: Answering(401, "auth", "unauthenticated"),
    refusals.Forbidden: Answering(403, "auth", "forbidden"),
    refusals.RouteNotFound: Answering(404, "permanent", "route_not_found"),
    refusals.MethodNotAllowed: Answering(405, "permanent", "method_not_allowed"),
    refusals.NotAcceptable: Answering(406, "permanent", "not_acceptable"),
    refusals.BodyTimedOut: Answering(408, "transient", "body_timed_out"),
    refusals.BodyTooLarge: Answering(413, "permanent", "body_too_large"),
    refusals.UnsupportedMediaType: Answering(415, "permanent", "unsupported_media_type"),
    refusals.InvalidBody: Answering(400, "permanent", "invalid_body"),
    refusals.InvalidParameter: Answering(400, "permanent", "invalid_parameter"),
    refusals.UnknownColumn: Answering(400, "permanent", "unknown_column"),
    refusals.UnknownOperator: Answering(400, "permanent", "unknown_operator"),
    refusals.InvalidCursor: Answering(400, "permanent", "invalid_cursor"),
    refusals.TableNotFound: Answering(404, "permanent", "table_not_found"),
    refusals.RowNotFound: Answering(404, "permanent", "row_not_found"),
    refusals.RowsReadOnly: Answering(403, "permanent", "rows_read_only"),
    refusals.BadImportLine: Answering(400, "permanent", "bad_line"),
    refusals.ImportBrokenOff: Answering(500, "unknown", "import_broken_off", "warning"),
    refusals.TokenNotFound: Answering(404, "permanent", "token_not_found"),
    refusals.TooManyTokens: Answering(409, "conflict", "too_many_tokens"),
    refusals.TooManyConnections: Answering(503, "transient", "too_many_connections", "info"),
    refusals.ServerDraining: Answering(503, "transient", "draining", "info"),
    chat.UnknownSession: Answering(401, "auth", "unauthenticated"),
    chat.WrongPassword: Answering(401, "auth", "wrong_password"),
    chat.NotPermitted: Answering(403, "permanent", "not_permitted"),
    chat.Muted: Answering(403, "permanent", "muted"),
    chat.NotFound: Answering(404, "permanent", "not_found"),
    chat.Gone: Answering(404, "permanent", "gone"),
    chat.InvalidValue: Answering(400, "permanent", "invalid_value"),
    chat.Taken: Answering(409, "conflict", "taken"),
    chat.VersionConflict: Answering(412, "conflict", "version_conflict"),
    chat.ClientIdReused: Answering(409, "conflict", "client_id_reused"),
    chat.OutOfTurn: Answering(409, "transient", "out_of_turn"),
    chat.LimitReached: Answering(409, "permanent", "limit_reached"),
    chat.TooOften: Answering(429, "rate", "too_often"),
    storage.DatabaseNotFound: Answering(404, "permanent", "database_not_found"),
    storage.DatabaseExists: Answering(409, "conflict", "database_exists"),
    storage.InvalidDatabaseName: Answering(400, "permanent", "invalid_database_name"),
    storage.SqlError: Answering(400, "permanent", "sql_error"),
    storage.NotReadOnly: Answering(403, "permanent", "not_read_only"),
    storage.NotAllowed: Answering(403, "permanent", "not_allowed"),
    storage.ParameterMismatch: Answering(400, "permanent", "parameter_mismatch"),
    storage.NothingEarlier: Answering(400, "permanent", "nothing_earlier"),
    storage.ConstraintViolated: Answering(409, "conflict", "constraint_violated"),
    storage.ResultTooLarge: Answering(413, "permanent", "result_too_large"),
    storage.StorageSaturated: Answering(503, "transient", "queue_full"),
    storage.StorageBusy: Answering(503, "transient", "storage_busy", "warning"),
    storage.StorageUnavailable: Answering(503, "transient", "storage_unavailable", "warning"),
    storage.StorageClosed: Answering(503, "transient", "storage_closed", "info"),
    storage.TableNotSearchable: Answering(409, "conflict", "table_not_searchable"),
    storage.TableNotFollowed: Answering(409, "conflict", "table_not_followed"),
    storage.HistoryLost: Answering(410, "permanent", "history_lost"),
    storage.QueryTimedOut: Answering(504, "transient", "deadline_exceeded"),
    storage.ReadTooOld: Answering(503, "transient", "read_too_old", "info"),
    storage.QueryTooCostly: Answering(413, "permanent", "query_too_costly"),
    storage.TransactionLost: Answering(409, "transient", "transaction_lost"),
    storage.WriteTimedOut: Answering(504, "transient", "deadline_exceeded"),
    storage.WriteOutcomeUnknown: Answering(500, "unknown", "write_outcome_unknown", "warning"),
    storage.StorageFull: Answering(507, "transient", "storage_full", "error", "no space is left to write"),
    storage.WrongKey: Answering(
        500, "permanent", "wrong_key", "error", "the server's key does not fit the database file"
    ),
    storage.EncryptionUnavailable: Answering(
        500,
        "permanent",
        "encryption_unavailable",
        "error",
        "the server can't encrypt or decrypt the database",
    ),
    storage.DatabaseCorrupt: Answering(
        500,
        "permanent",
        "database_corrupt",
        "error",
        "the database file is damaged; restore it from a backup",
    ),
}

_DEFAULT_RETRY_AFTER_S = 1.0
_WITH_RETRY_AFTER = frozenset({429, 503})


def answering(kind: type[BaseException]) -> Answering:
    """Return how an exception of this type is answered: by the type itself or its nearest base in the table."""
    for each in kind.__mro__:
        found = ANSWERS.get(each)
        if found is not None:
            return found
    return INTERNAL


def retry_after_s(error: BaseException, how: Answering) -> float | None:
    """Return how long the sender should wait, in seconds; None where trying again is no remedy."""
    if how.status not in _WITH_RETRY_AFTER:
        return None
    wait_s = getattr(error, "details", {}).get("retry_after_s", _DEFAULT_RETRY_AFTER_S)
    return max(0.0, float(wait_s))


def error_body(error: BaseException, how: Answering) -> ErrorBody:
    """Return the public body for `error`; nothing of an unexpected one but that it happened."""
    wait_s = retry_after_s(error, how)
    details = dict(getattr(error, "details", {})) if how is not INTERNAL and how.message is None else {}
    details.pop("retry_after_s", None)
    return ErrorBody(
        error=ErrorDetail(
            code=how.code,
            class_=how.class_,
            message=how.message if how.message is not None else str(error) or how.code.replace("_", " "),
            retry_after_ms=None if wait_s is None else math.ceil(wait_s * 1000),
            details=details or None,
        )
    )


def error_headers(error: BaseException, how: Answering) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that go with the status: how to authenticate, when to come back, what is allowed."""
    if how.status == 401:  # noqa: PLR2004 - the one that carries a challenge
        return ((b"www-authenticate", b"Bearer"),)
    wait_s = retry_after_s(error, how)
    if wait_s is not None:
        return ((b"retry-after", str(max(1, math.ceil(wait_s))).encode()),)
    if isinstance(error, refusals.BodyTimedOut):
        return ((b"connection", b"close"),)  # what still comes is the rest of this body
    if isinstance(error, refusals.MethodNotAllowed):
        return ((b"allow", ", ".join(error.details["allowed"]).encode()),)
    return ()
