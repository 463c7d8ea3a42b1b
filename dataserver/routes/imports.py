"""`/v1/databases/{db}/tables/{table}/import`: rows of any number into a table, as NDJSON or CSV, while they arrive."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import storage
from dataserver.answers import CSV, NDJSON, AnyAnswer, json_answer, stream_answer
from dataserver.errors import answering, error_body
from dataserver.exchange import Exchange, check_content_coding
from dataserver.imports.pieces import Format, Target
from dataserver.imports.streaming import Outcome, stream_in
from dataserver.refusals import (
    BadImportLine,
    BodyTooLarge,
    ImportBrokenOff,
    InvalidBody,
    InvalidParameter,
    Refusal,
    RowsReadOnly,
    TableNotFound,
    UnknownColumn,
    UnsupportedMediaType,
)
from dataserver.route import Parameter, Route
from dataserver.routes.execute import WRITE_REFUSALS
from dataserver.routes.query import TIMEOUT
from dataserver.schemas import Table
from dataserver.wire import BadLineAnswer, ImportAnswer, json_bytes

_FORMATS: Final[dict[bytes, Format]] = {
    b"application/x-ndjson": "ndjson",
    b"application/jsonl": "ndjson",
    b"text/csv": "csv",
}
_RETRY_AFTER_S: Final = 1.0


async def post_import(exchange: Exchange) -> AnyAnswer:
    """Store the rows that the body holds."""
    table = await exchange.services.schemas.table(exchange.path["db"], exchange.path["table"])
    if table.info.kind != "table":
        raise RowsReadOnly(f"{table.info.name!r} is a view; write to the tables under it")
    target = _target(exchange, table)
    tells = _choice(exchange, "progress", ("0", "1")) == "1"
    outcomes = _run(exchange, target)
    if tells:
        return await stream_answer(_lines(outcomes), NDJSON)
    async with aclosing(outcomes):
        *_, last = [outcome async for outcome in outcomes]
    return json_answer(_answer(last))


async def _run(exchange: Exchange, target: Target) -> AsyncGenerator[Outcome]:
    """Run the import, one of a bounded number.

    Raises:
        StorageSaturated: There are as many as may be.
    """
    services = exchange.services
    if services.state.imports_count >= services.limits.max_imports_count:
        raise storage.StorageSaturated("too many imports run", retry_after_s=_RETRY_AFTER_S)
    services.state.imports_count += 1
    try:
        async with (
            aclosing(exchange.body_stream(most_bytes=services.limits.max_import_bytes)) as chunks,
            aclosing(
                stream_in(
                    services.databases.get(exchange.path["db"]),
                    chunks,
                    target,
                    services.databases.folder,
                    timeout_s=exchange.timeout_s,
                )
            ) as outcomes,
        ):
            async for outcome in outcomes:
                yield outcome
    finally:
        services.state.imports_count -= 1


async def _lines(outcomes: AsyncGenerator[Outcome]) -> AsyncGenerator[bytes]:
    """Yield a line after each piece; a failure behind the first is the last line, as every other error has it."""
    told_count = 0
    try:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield json_bytes(_answer(outcome)) + b"\n"
                told_count += 1
    except (storage.StorageError, Refusal) as error:
        if not told_count:
            raise
        yield json_bytes(error_body(error, answering(type(error)))) + b"\n"


def _answer(outcome: Outcome) -> ImportAnswer:
    return ImportAnswer(
        rows=outcome.row_count,
        failed=outcome.bad_count,
        errors=[BadLineAnswer(line=line, reason=reason) for line, reason in outcome.errors],
        lines=outcome.line_count,
        bytes=outcome.size_bytes,
        done=outcome.is_done,
    )


def _target(exchange: Exchange, table: Table) -> Target:
    check_content_coding(exchange.headers)
    sent = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if sent not in _FORMATS:
        allowed = [media.decode() for media in _FORMATS]
        raise UnsupportedMediaType(
            f"the body is {sent.decode(errors='replace')!r}; send {' or '.join(allowed)}", allowed=allowed
        )
    delimiter = exchange.parameter("delimiter")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InvalidParameter(
            f"delimiter is {delimiter!r}; one character that is no quote or line end is allowed"
        )
    return Target(
        table=table.info.name,
        columns={column.name: column.affinity == "text" for column in table.columns.values()},
        format=_FORMATS[sent],
        delimiter=delimiter or ",",
        stop_at_bad=_choice(exchange, "on_error", ("stop", "skip")) == "stop",
    )


def _choice(exchange: Exchange, name: str, allowed: tuple[str, ...]) -> str:
    """Return a parameter that is one of `allowed`, the first of them where it is not given."""
    wanted = exchange.parameter(name)
    if wanted is None:
        return allowed[0]
    if wanted not in allowed:
        raise InvalidParameter(
            f"{name} is {wanted!r}; allowed are {' and '.join(allowed)}", allowed=list(allowed)
        )
    return wanted


ROUTES = (
    Route(
        method="POST",
        path="/v1/databases/{db}/tables/{table}/import",
        role="write",
        handle=post_import,
        says=(
            "Store the rows of a stream: JSON objects, one a line, or CSV with a header line. All of them or none, or with"
            " `on_error=skip` each good line; what was stored is on disk when this answers. In CSV nothing between two"
            " delimiters is NULL, but in a column of text it is the empty text."
        ),
        reads_media=(NDJSON, CSV),
        answers=ImportAnswer,
        parameters=(
            Parameter(
                name="on_error",
                one_of=("stop", "skip"),
                says=(
                    "`stop`: a bad line is the end, and nothing is stored. `skip`: bad lines are counted, and the first 100"
                    " told; what was stored stays, even if the connection is lost."
                ),
            ),
            Parameter(
                name="delimiter",
                says="What parts the fields of a CSV, if it is no comma.",
                least=1,
                most=1,
                pattern='^[^"\\r\\n]$',
            ),
            Parameter(
                name="progress",
                one_of=("0", "1"),
                says="`1`: answer a line of JSON after each piece (NDJSON); the last has `done`, or is an error.",
            ),
            TIMEOUT,
        ),
        refuses=(
            *WRITE_REFUSALS,
            TableNotFound,
            RowsReadOnly,
            UnsupportedMediaType,
            BodyTooLarge,
            InvalidBody,
            InvalidParameter,
            UnknownColumn,
            BadImportLine,
            ImportBrokenOff,
        ),
    ),
)
