"""Answers of any size, a piece at a time: each stream has a connection and a snapshot of its own.

A snapshot holds the write-ahead log, which can't be cut behind it. So streams are few, one that nobody asks for is
closed (looked at whenever the worker does anything else), and none lives longer than its age.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import QueryTimedOut, SqlError, StorageSaturated
from storage.sqlite.reader import MAX_REPLANS_COUNT, Reader
from storage.sqlite.row_encoding import csv_header, valid_utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import apsw

    from storage.sqlite.json_results import Format
    from storage.sqlite.plans import Plan
    from storage.sqlite.reader import Params


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSettings:
    """The bounds of a worker's streams."""

    max_count: int = 8
    idle_s: float = 30.0
    age_s: float = 600.0
    chunk_bytes: int = 128 * 1024


class Stream:
    """One answer under way."""

    def __init__(self, reader: Reader, sql: str, params: Params, form: Format, now: float) -> None:
        """Begin `sql` on `reader`, which the stream owns from now on.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        self._reader = reader
        self.connection = reader.connection
        self._params = params
        self.born_at = now
        self.used_at = now
        self._between, self._tail = {
            "json": (b",", b"]"),
            "ndjson": (b"\n", b"\n"),
            "csv": (b"\r\n", b"\r\n"),
        }[form]
        self._plan, self._texts, self._held = self._begun(sql, form)
        head = {"json": b"[", "ndjson": b"", "csv": csv_header(self._plan.names)}[form]
        if self._held is None and form != "json":
            self._tail = b""
        self._head = head

    def piece(self, chunk_bytes: int, now: float) -> tuple[bool, bytes]:
        """Return whether this is the last piece, and about `chunk_bytes` of whole rows.

        Raises:
            StorageError: The read failed; the stream is of no more use.
        """
        self.used_at = now
        texts = [] if self._held is None else [self._held]
        size, self._held = len(self._held or b""), None
        is_last = not texts
        if texts:
            try:
                for text in self._texts:
                    if size >= chunk_bytes:
                        self._held = text
                        break
                    texts.append(text)
                    size += len(text) + len(self._between)
                else:
                    is_last = True
            except Exception as error:
                raise self._reader.failure(error, self._plan, self._params) from error
        head, self._head = self._head, b""
        rows = valid_utf8(self._between.join(texts))
        return is_last, head + rows + (self._tail if is_last else self._between)

    def close(self) -> None:
        """Let go of the snapshot."""
        self._reader.close()

    def _begun(self, sql: str, form: Format) -> tuple[Plan, Iterator[bytes], bytes | None]:
        for _ in range(MAX_REPLANS_COUNT):
            plan, texts = self._reader.texts(sql, self._params, form)
            try:
                first = next(texts, None)
            except Exception as error:
                raise self._reader.failure(error, plan, self._params) from error
            if not self._reader.is_stale():
                return plan, texts, first
        raise SqlError("the schema changes faster than it can be read")


class Streams:
    """The streams of one worker."""

    def __init__(self, settings: StreamSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self.held: dict[int, Stream] = {}
        """Those that are open, by number."""

    def open(self, number: int, reader: Callable[[], Reader], sql: str, params: Params, form: Format) -> None:
        """Begin stream `number`, a number that no other one of this worker's has.

        Raises:
            StorageSaturated: As many as are allowed are open.
            StorageError: See the members of its tree that a read can raise.
        """
        self.drop_idle()
        if len(self.held) >= self._settings.max_count:
            raise StorageSaturated(f"{len(self.held)} streams are open", retry_after_s=1.0)
        opened = reader()
        try:
            self.held[number] = Stream(opened, sql, params, form, self._clock())
        except BaseException:
            opened.close()
            raise

    def connection(self, number: int) -> apsw.Connection | None:
        """Return what stream `number` runs on, None if there is no such stream."""
        stream = self.held.get(number)
        return None if stream is None else stream.connection

    def next(self, number: int) -> list[Any]:
        """Return `[is_last, bytes]` of stream `number`; after its last piece, or an error, it is closed.

        Raises:
            QueryTimedOut: It was closed because nobody asked for too long, or it lived too long.
            StorageError: The read failed.
        """
        now = self._clock()
        self.drop_idle(now)
        stream = self.held.get(number)
        if stream is None:
            raise QueryTimedOut("the stream was left waiting, or open, for too long")
        try:
            is_last, piece = stream.piece(self._settings.chunk_bytes, now)
        except BaseException:
            self.close(number)
            raise
        if is_last:
            self.close(number)
        return [is_last, piece]

    def close(self, number: int) -> None:
        """Close stream `number`, if it is open."""
        stream = self.held.pop(number, None)
        if stream is not None:
            stream.close()

    def drop_idle(self, now: float | None = None) -> None:
        """Close the streams that nobody asked for in time, and those that are too old."""
        now = self._clock() if now is None else now
        for number, stream in list(self.held.items()):
            if now - stream.used_at > self._settings.idle_s or now - stream.born_at > self._settings.age_s:
                self.close(number)

    def close_all(self) -> None:
        """Close all."""
        for number in list(self.held):
            self.close(number)
