"""What a reading worker runs; `storage.sqlite.writer` has the writing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from storage.errors import DatabaseCorrupt, QueryTimedOut, QueryTooCostly
from storage.sqlite.connection import (
    ConnectionSettings,
    Deadline,
    prepare_library,
    refuse_event_loop,
)
from storage.sqlite.connection_cache import ConnectionCache
from storage.sqlite.costs import measured
from storage.sqlite.errors import translation
from storage.sqlite.held_reads import HoldingSettings
from storage.sqlite.json_results import JsonRules
from storage.sqlite.reader import Reader
from storage.sqlite.snapshots import HeldSnapshot, Snapshots
from storage.sqlite.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers import Body, Call


LOOK_S = 1.0
"""How often a reader looks whether its file is still the one at its path."""


class ReaderService:
    """Reads databases; keeps their connections and the streams begun in this worker.

    Parameters of its methods, after `path, generation`: `json` takes `sql, params, shape, envelope, max_bytes`, `rows`
    `sql, params, as_maps, max_count, max_bytes`, `cost` `sql, params, max_bytes`, `tables` nothing more, `tables_read` `sql`; `stream_open` takes `number, path, generation,
    sql, params, format`, `stream_next` and `stream_close` the number alone; `snapshot_open` takes `number, path,
    generation`, `snapshot_json` and `snapshot_rows` take the number instead of path and generation; `held_end` takes `kind, number,
    reason` and ends a stream or a snapshot; `sweep` takes nothing and closes those that are idle or too old. A path whose generation is another than that of the open connection is opened anew:
    the database was dropped and made again under the same name.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._settings = ConnectionSettings.from_options(options)
        refuse_event_loop(self._settings)
        prepare_library(heap_limit_bytes=options.get("heap_limit_bytes", 0))
        self._rules = JsonRules(big_integers_as_strings=options.get("json_big_integers") == "string")
        steps = self._settings.max_query_steps
        self._deadline = Deadline(-(-steps // self._settings.progress_steps)) if steps else Deadline()
        self._readers: ConnectionCache[Reader] = ConnectionCache(
            options.get("max_open_connections", 64), self._opened, look_every_s=LOOK_S
        )
        holding = HoldingSettings(
            max_count=options.get("max_open_streams", 8),
            idle_s=options.get("stream_idle_s", 30.0),
            age_s=options.get("reader_age_s", 600.0),
        )
        self._streams = Streams(holding, chunk_bytes=options.get("stream_chunk_bytes", 128 * 1024))
        self._snapshots = Snapshots(holding, self._begins)
        self._generation = 0
        self._connection: apsw.Connection | None = None
        self._methods: dict[str, Callable[[Any], Any]] = {
            "json": self._json,
            "rows": self._rows,
            "snapshot_open": self._snapshot_open,
            "snapshot_json": self._snapshots.json,
            "snapshot_rows": self._snapshots.rows,
            "snapshot_close": self._snapshot_close,
            "cost": self._cost,
            "held_end": self._held_end,
            "sweep": lambda _: None,  # what is due was done before
            "stream_open": self._stream_open,
            "stream_next": self._stream_next,
            "stream_close": self._stream_close,
            "tables": self._tables,
            "tables_read": self._tables_read,
        }

    def run(self, call: Call) -> Any:
        """See `workers.Service`.

        Raises:
            StorageError: What became of the read.
        """
        deadline = self._deadline
        deadline.at = call.deadline
        deadline.stopped = False
        deadline.calls_count = 0
        self._connection = (
            None  # that of the call before may be in the midst of a stream, which an interrupt would end
        )
        if self._streams or self._snapshots:
            self._streams.drop_idle()
            self._snapshots.drop_idle()
        try:
            return self._methods[call.method](call.params)
        except DatabaseCorrupt:
            self._forget_pages(call)
            raise
        except apsw.Error as error:  # an interrupt can meet a statement of our own, between the caller's
            raise translation(error) or error from error
        except QueryTimedOut as error:
            if not deadline.is_overstepped:
                raise
            most = self._settings.max_query_steps
            raise QueryTooCostly(f"the statement took more than {most} steps", limit_steps=most) from error

    def interrupt(self) -> None:
        """See `workers.Service`."""
        self._deadline.stopped = True
        connection = self._connection
        if connection is not None:
            try:
                connection.interrupt()
            except apsw.ConnectionClosedError:
                return  # it was closed since; what runs next looks at the deadline

    def close(self) -> None:
        """See `workers.Service`."""
        self._connection = None
        self._streams.close_all()
        self._snapshots.close_all()
        self._readers.close()

    def _reader(self, path: str, generation: int) -> Reader:
        self._generation = generation
        reader = self._readers.get(path)
        if reader.generation != generation:
            self._connection = None
            self._readers.discard(path)
            reader = self._readers.get(path)
        self._connection = reader.connection
        return reader

    def _forget_pages(self, call: Call) -> None:
        """Close the connection that found damage: what it misread would stay in its cache."""
        path = call.params[0]
        if isinstance(path, str):  # what a stream or a snapshot holds goes with it
            self._connection = None
            self._readers.discard(path)

    def _opened(self, path: str) -> Reader:
        return Reader(path, self._generation, self._settings, self._deadline, self._rules)

    def _json(self, params: Any) -> bytes | Body:
        path, generation, sql, values, shape, envelope, max_bytes = params
        return self._reader(path, generation).json(sql, values, shape, envelope, max_bytes)

    def _rows(self, params: Any) -> bytes | Body:
        path, generation, sql, values, as_maps, max_count, max_bytes = params
        return self._reader(path, generation).rows(sql, values, as_maps, max_count, max_bytes)

    def _cost(self, params: Any) -> dict[str, int]:
        path, generation, sql, values, max_bytes = params
        return measured(self._opened_alone(path, generation), sql, values, max_bytes)

    def _opened_alone(self, path: str, generation: int) -> Reader:
        """Return a reader beside those that are shared, for something that is held open."""
        self._generation = generation
        reader = self._opened(path)
        self._connection = reader.connection
        return reader

    def _begins(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def _snapshot_open(self, params: Any) -> None:
        number, path, generation = params
        self._snapshots.open(number, lambda: HeldSnapshot(self._opened_alone(path, generation)))

    def _snapshot_close(self, params: Any) -> None:
        (number,) = params
        self._snapshots.close(number)

    def _stream_open(self, params: Any) -> None:
        number, path, generation, sql, values, form = params
        self._streams.begin(number, lambda: self._opened_alone(path, generation), sql, values, form)

    def _stream_next(self, params: Any) -> list[Any]:
        (number,) = params
        stream = self._streams.find(number)
        self._connection = None if stream is None else stream.connection
        return self._streams.next(number)

    def _stream_close(self, params: Any) -> None:
        (number,) = params
        self._streams.close(number)

    def _held_end(self, params: Any) -> None:
        kind, number, reason = params
        (self._streams if kind == "stream" else self._snapshots).end(number, reason)

    def _tables(self, params: Any) -> list[list[Any]]:
        path, generation = params
        return self._reader(path, generation).tables()

    def _tables_read(self, params: Any) -> list[str]:
        path, generation, sql = params
        return self._reader(path, generation).tables_read(sql)
