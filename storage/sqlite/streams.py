"""Answers of any size, a piece at a time: each stream has a connection of its own, and reads one state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from storage.errors import QueryTimedOut
from storage.sqlite.held_reads import HeldReads
from storage.sqlite.row_encoding import csv_header, valid_utf8

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.sqlite.held_reads import HoldingSettings
    from storage.sqlite.json_results import Format
    from storage.sqlite.reader import Params, Reader


class Stream:
    """One answer under way."""

    def __init__(self, reader: Reader, sql: str, params: Params, form: Format) -> None:
        """Begin `sql` on `reader`, which the stream owns from now on.

        Raises:
            StorageError: See the members of its tree that a read can raise.
        """
        self._reader = reader
        self.connection = reader.connection
        self._params = params
        self._between, self._tail = {
            "json": (b",", b"]"),
            "ndjson": (b"\n", b"\n"),
            "csv": (b"\r\n", b"\r\n"),
        }[form]
        self._plan, self._held, self._texts = reader.texts(sql, params, form)
        head = {"json": b"[", "ndjson": b"", "csv": csv_header(self._plan.names)}[form]
        if self._held is None and form != "json":
            self._tail = b""
        self._head = head

    def piece(self, chunk_bytes: int) -> tuple[bool, bytes]:
        """Return whether this is the last piece, and about `chunk_bytes` of whole rows.

        Raises:
            StorageError: The read failed; the stream is of no more use.
        """
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


class Streams(HeldReads[Stream]):
    """The streams of one worker."""

    def __init__(
        self,
        settings: HoldingSettings,
        *,
        chunk_bytes: int = 128 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings, clock)
        self._chunk_bytes = chunk_bytes

    def begin(
        self, number: int, reader: Callable[[], Reader], sql: str, params: Params, form: Format
    ) -> None:
        """Begin stream `number`, a number that no other one of this worker's has.

        Raises:
            StorageSaturated: As many as are allowed are open.
            StorageError: See the members of its tree that a read can raise.
        """

        def begun() -> Stream:
            opened = reader()
            try:
                return Stream(opened, sql, params, form)
            except BaseException:
                opened.close()
                raise

        self.open(number, begun)

    def next(self, number: int) -> list[Any]:
        """Return `[is_last, bytes]` of stream `number`; after its last piece, or an error, it is closed.

        Raises:
            QueryTimedOut: It was closed because nobody asked for too long.
            ReadTooOld: It was ended because it held one state for too long.
            StorageError: The read failed.
        """
        stream = self.find(number)
        if stream is None:
            raise QueryTimedOut("the stream was left waiting for too long")
        try:
            is_last, piece = stream.piece(self._chunk_bytes)
        except BaseException:
            self.close(number)
            raise
        if is_last:
            self.close(number)
        return [is_last, piece]
