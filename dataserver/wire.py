"""Bodies of requests and answers: what msgspec checks on the way in, and what `/openapi.json` is made from."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from dataserver.auth import MAX_NAME_CHARACTERS, IssuedToken, Role, Token
from dataserver.refusals import InvalidBody

Ack = Literal["durable", "queued"]
Shape = Literal["objects", "arrays"]
Sql = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000_000)]
Params = list[Any] | dict[str, Any]
"""By place or by name; null, booleans, numbers and texts, and `{"$base64": TEXT}` for bytes."""


class QueryRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement that reads."""

    sql: Sql
    params: Params = []
    shape: Shape = "objects"


class QueryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement returned, in its order."""

    columns: list[str]
    rows: list[Any]
    """Objects or lists, as `shape` asked; bytes are `{"$base64": TEXT}`."""


class StatementRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement of several."""

    sql: Sql
    params: Params = []


class ExecuteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One statement (`sql` and `params`), or several (`statements`) of which all or none take effect."""

    sql: Sql | None = None
    params: Params = []
    statements: list[StatementRequest] | None = None
    ack: Ack = "durable"
    """When to answer: once it is on disk, or (`queued`) once it waits: a crash loses it, an error is only counted."""


class WrittenAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a write did, and what is sure of it: `durable` is on disk, of what is `queued` nothing is known yet."""

    ack: Ack
    changes: int | None
    last_insert_rowid: int | None
    columns: list[str] | None = None
    """Of what RETURNING gave."""
    rows: list[list[Any]] | None = None
    results: list[WrittenAnswer] | None = None
    """One for each of several statements, in their order."""


class BadLineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an import that was not stored."""

    line: int
    """From 1; the header of a CSV counts."""
    reason: str


class ImportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import has come; with `done`, what it stored is on disk and this is all."""

    rows: int
    """Rows that were stored."""
    failed: int
    """Lines that were bad and passed over."""
    errors: list[BadLineAnswer]
    """The first of those."""
    lines: int
    """Lines that were read."""
    bytes: int
    done: bool


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement that reads, for an answer of any size."""

    sql: Sql
    params: Params = []
    format: Literal["csv", "ndjson"] | None = None


class DatabaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One database."""

    name: str
    size_bytes: int
    wal_bytes: int
    table_count: int


class DatabasesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The names of all databases, sorted."""

    databases: list[str]


class BackupRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backup to make."""

    keep_count: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """How many backups of this database stay, this one among them; 0 for all."""


class BackupAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that is on the disk."""

    name: str
    size_bytes: int
    page_count: int
    seconds: float
    removed: list[str]
    """Older backups of the same database, which are gone now."""


class BackupEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One backup."""

    name: str
    size_bytes: int


class BackupsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The dated backups of a database, the oldest first."""

    backups: list[BackupEntry]


class FollowRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a table is to be followed."""

    values: bool = False
    """The rows before and after each change are logged too, not their keys alone."""


class FollowedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a table is followed from now on, and where the log of changes stands."""

    table: str
    followed: bool
    cursor: str


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of one row; or, with an empty key, that a table is followed from here on, or not any more."""

    seq: int
    after: str
    """The cursor of the event before this one in the stream, or that at which the stream began."""
    at_ms: int
    table: str
    op: Literal["insert", "update", "delete", "follow", "unfollow"]
    key: list[Any]
    """The values of the primary key, or the rowid where there is none; bytes are `{"$base64": TEXT}`."""
    old: dict[str, Any] | None = None
    """The row before, where values are logged."""
    new: dict[str, Any] | None = None
    """The row after, where values are logged."""


class PositionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stream stands."""

    cursor: str
    after: str | None


class GapEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that came next are not in the log any more; the stream goes on from `cursor`."""

    cursor: str
    after: str | None
    message: str


class ColumnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One column."""

    name: str
    type: str
    not_null: bool
    default: str | None
    primary_key_position: int
    """From 1; 0 when it is not part of the primary key."""


class TableAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One table or view."""

    name: str
    kind: Literal["table", "view"]
    columns: list[ColumnAnswer]
    primary_key: list[str]
    key: list[str]
    """What `/rows/{key}` takes, in this order; empty where rows have no address."""
    strict: bool
    search: list[str]
    """The columns of its search index; empty when it has none."""
    row_count_estimate: int | None


class TablesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All tables and views of a database."""

    tables: list[TableAnswer]


class RowsAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of rows."""

    rows: list[dict[str, Any]]
    next: str | None
    """What `?after=` takes for the next page; null on the last one."""
    snapshot: str | None = None
    """What `?snapshot=` takes for the next page of the same state, where one was asked for; missing on the last one."""


class SearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search index to make."""

    columns: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)]
    tokenizer: Literal["words", "stems", "trigrams"] = "words"
    """Whole words without accents, English words by their stems, or any three letters."""


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns of a table are searched."""

    table: str
    search: list[str]


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to make."""

    role: Role
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARACTERS)] = ""


class TokensAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All tokens, without their texts."""

    tokens: list[Token]


TokenAnswer = IssuedToken


class PoolHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One pool of workers."""

    kind: str
    worker_count: int
    alive_count: int


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The process runs and its event loop turns."""

    status: Literal["ok"]
    workers: dict[str, PoolHealth]


class ReadyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The server takes requests."""

    status: Literal["ready"]


_T = TypeVar("_T")
_ENCODER: Final = msgspec.json.Encoder()


def json_bytes(value: Any) -> bytes:
    """Return `value` as JSON."""
    return _ENCODER.encode(value)


def json_value(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """Return what `body` holds.

    Raises:
        InvalidBody: It is no JSON, or not what the decoder's type says; the text says where.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidBody(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBody(f"the body is no valid JSON: {error}") from error
