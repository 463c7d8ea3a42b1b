"""Rows that stream into a table: piece by piece through the writer, all of them or line by line.

All or nothing: the stream is first laid aside, in memory or a file without a name, and then stored in one transaction.
So a client that sends slowly holds up nobody, and one that leaves has done nothing. While that transaction runs, others
who write to the database wait.

Line by line: each piece is a write of its own, committed before the next is asked for, and shares the writer with
everybody. What was committed stays, whatever becomes of the rest, and the outcome says how far that is.

What is held of a stream is a piece, or one record if that is longer: whoever sends faster than the disk takes is not read.
"""

from __future__ import annotations

import csv
import errno
import tempfile
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import msgspec

from dataserver.imports.cutting import Cutter
from dataserver.imports.pieces import Piece, Stored, Target, store_piece
from dataserver.refusals import BadImportLine, ImportBrokenOff, Refusal, UnknownColumn
from storage import StorageBusy, StorageError, StorageFull, StorageSaturated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from storage import Database

    Store = Callable[[dict[str, Any], dict[str, Any]], Awaitable[Any]]

PIECE_BYTES: Final = 512 * 1024
"""About 7,000 rows, which take the writer some 20 to 40 ms."""
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
LEASE_S: Final = 3_600.0
"""How long an import may keep other writes of its database waiting; it is not ended because they do."""
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
_MAX_TRIES_COUNT: Final = 6
_LEAST_PAUSE_S: Final = 0.05
_to_plain = partial(msgspec.to_builtins, builtin_types=(bytes,))


@dataclass(slots=True)
class Outcome:
    """How far an import has come."""

    row_count: int = 0
    bad_count: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)
    """The first bad lines, with what is wrong."""
    line_count: int = 0
    """Lines that are done, the header of a CSV among them."""
    size_bytes: int = 0
    is_done: bool = False

    def add(self, stored: Stored, *, max_errors_count: int) -> None:
        """Add what became of one piece."""
        self.row_count += stored.row_count
        self.bad_count += stored.bad_count
        self.errors += stored.errors[: max_errors_count - len(self.errors)]
        self.line_count += stored.line_count
        self.size_bytes += stored.size_bytes


async def stream_in(
    database: Database,
    chunks: AsyncGenerator[bytes],
    target: Target,
    folder: Path,
    *,
    timeout_s: float | None,
) -> AsyncGenerator[Outcome]:
    """Store what `chunks` holds and yield how far it has come after each piece; the last one `is_done`.

    With `target.stop_at_bad` all rows are stored or none, else each good line is. `timeout_s` is for each piece. What
    is laid aside is in `folder`.

    Raises:
        BadImportLine: A line is bad, and nothing was stored.
        ImportBrokenOff: Something else failed after a part was stored; the error says how much.
        UnknownColumn: The header of a CSV names one that the table lacks; nothing was stored.
        StorageError: As `Database.write`; nothing was stored.
    """
    if not target.stop_at_bad:
        async with aclosing(_Run(target, _patient(database, timeout_s)).outcomes(chunks)) as outcomes:
            async for outcome in outcomes:
                yield outcome
        return
    last = Outcome()
    async with (
        _laid_aside(chunks, folder) as aside,
        database.transaction(timeout_s=timeout_s, lease_s=LEASE_S) as transaction,
        aclosing(
            _Run(target, partial(transaction.run, store_piece, timeout_s=timeout_s)).outcomes(aside)
        ) as outcomes,
    ):
        async for last in outcomes:
            if not last.is_done:
                yield last
    yield last  # committed


def _patient(database: Database, timeout_s: float | None) -> Store:
    """Return what stores a piece by a write of its own, again if there was no place for it."""

    async def store(target: dict[str, Any], piece: dict[str, Any]) -> Any:
        for tries_left in reversed(range(_MAX_TRIES_COUNT)):
            try:
                return await database.write(store_piece, target, piece, timeout_s=timeout_s)
            except (StorageSaturated, StorageBusy) as error:  # nothing was written
                if not tries_left:
                    raise
                await anyio.sleep(max(_LEAST_PAUSE_S, float(error.details.get("retry_after_s", 0))))
        raise AssertionError("the last try returns or raises")

    return store


class _Run:
    """One stream on its way through `store`."""

    def __init__(self, target: Target, store: Store) -> None:
        self._target = target
        self._store = store
        self._cutter = Cutter(PIECE_BYTES)
        self._outcome = Outcome()

    async def outcomes(self, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[Outcome]:
        outcome = self._outcome
        try:
            if self._target.format == "csv":
                await self._take_header(chunks)
            async for came in chunks:
                self._cutter.push(came)
                while (content := self._cutter.piece()) is not None:
                    await self._take(content, is_last=False)
                    yield outcome
                if self._cutter.waiting_bytes > MAX_RECORD_BYTES:
                    await self._take_long_record()
            if rest := self._cutter.rest():
                await self._take(rest, is_last=True)
        except (StorageError, Refusal) as error:
            if self._target.stop_at_bad or not outcome.row_count:
                raise
            raise ImportBrokenOff(
                f"{error}; {outcome.row_count} rows of the first {outcome.line_count} lines are stored",
                rows=outcome.row_count,
                lines=outcome.line_count,
            ) from error
        outcome.is_done = True
        yield outcome

    async def _take(self, content: bytes, *, is_last: bool) -> None:
        outcome = self._outcome
        piece = Piece(content=content, line_number=outcome.line_count, is_last=is_last)
        stored = msgspec.convert(await self._store(_to_plain(self._target), _to_plain(piece)), Stored)
        if stored.bad_count and self._target.stop_at_bad:
            line, reason = stored.errors[0]
            raise BadImportLine(f"line {line}: {reason}; nothing was imported", line=line)
        outcome.add(stored, max_errors_count=self._target.max_errors_count)
        self._cutter.done(stored.size_bytes)

    async def _take_long_record(self) -> None:
        """Take what has no end within the bound: of a CSV a quote may be open that nobody closes."""
        content = self._cutter.rest()
        end = content.rfind(b"\n") + 1
        if self._target.format != "csv" or not end:
            line = self._outcome.line_count + 1
            raise BadImportLine(f"line {line} is longer than {MAX_RECORD_BYTES} bytes", line=line)
        await self._take(content[:end], is_last=True)

    async def _take_header(self, chunks: AsyncIterator[bytes]) -> None:
        """Read the names in the first record.

        Raises:
            UnknownColumn: The table lacks one, or one is there twice.
            BadImportLine: It is no CSV.
        """
        header: bytes | None = None
        async for came in chunks:
            self._cutter.push(came)
            header = self._cutter.header()
            if header is not None or self._cutter.waiting_bytes > MAX_RECORD_BYTES:
                break
        if header is None:
            raise BadImportLine("the stream has no header line", line=1)
        names = _header_names(header, self._target.delimiter)
        for place, name in enumerate(names):
            if name not in self._target.columns or name in names[:place]:
                raise UnknownColumn(
                    f"the header names {name!r}, which is no column or one that was named before",
                    column=name,
                    allowed=list(self._target.columns),
                )
        self._target = msgspec.structs.replace(self._target, header=header)
        self._outcome.line_count = header.count(b"\n")
        self._outcome.size_bytes = len(header)


def _header_names(header: bytes, delimiter: str) -> list[str]:
    try:
        (names,) = csv.reader([header.decode("utf-8-sig")], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise BadImportLine(f"the header line is not CSV: {error}", line=1) from error
    return names


@asynccontextmanager
async def _laid_aside(chunks: AsyncIterator[bytes], folder: Path) -> AsyncIterator[AsyncGenerator[bytes]]:
    """Take all of `chunks` in, and give it back.

    Raises:
        StorageFull: The disk has no room for it.
    """
    aside = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 - closed below
    try:
        held = bytearray()
        async for came in chunks:
            held += came
            if len(held) >= PIECE_BYTES:
                await anyio.to_thread.run_sync(_write, aside, bytes(held))
                held.clear()
        await anyio.to_thread.run_sync(_write, aside, bytes(held))
        await anyio.to_thread.run_sync(aside.seek, 0)
        async with aclosing(_read_back(aside)) as chunks_again:
            yield chunks_again
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(aside.close)


def _write(aside: IO[bytes], data: bytes) -> None:
    try:
        aside.write(data)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise StorageFull("there is no room to lay the import aside; nothing was imported") from error


async def _read_back(aside: IO[bytes]) -> AsyncGenerator[bytes]:
    while piece := await anyio.to_thread.run_sync(aside.read, PIECE_BYTES):
        yield piece
