"""Snapshots: a connection in a read transaction, asked again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.errors import TransactionLost
from storage.sqlite.held_reads import HeldReads

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.sqlite.held_reads import HoldingSettings
    from storage.sqlite.reader import Reader
    from workers import Body


class HeldSnapshot:
    """A reader that sees one state until it is closed."""

    def __init__(self, reader: Reader) -> None:
        """Hold the state that `reader` sees now; the snapshot owns it from here on.

        Raises:
            StorageError: It can't be read.
        """
        self.reader = reader
        self.connection = reader.connection
        try:
            reader.hold_state()
        except BaseException:
            reader.close()
            raise

    def close(self) -> None:
        """Let go of the state."""
        self.reader.close()


class Snapshots(HeldReads[HeldSnapshot]):
    """The snapshots of one worker; `methods` are what its service offers of them, after the snapshot's `number`."""

    def __init__(self, settings: HoldingSettings, begins: Callable[[Any], None]) -> None:
        """Make it empty; `begins` is told the connection that the next statement runs on."""
        super().__init__(settings)
        self._begins = begins

    def json(self, params: Any) -> bytes | Body:
        """Answer `[number, sql, params, shape, envelope, max_bytes]`; see `Reader.json`."""
        number, *rest = params
        return self._reader(number).json(*rest)

    def rows(self, params: Any) -> bytes | Body:
        """Answer `[number, sql, params, as_maps, max_count, max_bytes]`; see `Reader.rows`."""
        number, *rest = params
        return self._reader(number).rows(*rest)

    def _reader(self, number: int) -> Reader:
        held = self.find(number)
        if held is None or not held.connection.in_transaction:
            raise TransactionLost("the snapshot was left waiting for too long")
        self._begins(held.connection)
        return held.reader
