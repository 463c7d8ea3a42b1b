"""A reading service on a real file, without a pool around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from storage.sqlite.service import ReaderService
from workers import Body, Call

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 64 * 1024 * 1024


def make_database(path: Path, script: str = "") -> Path:
    """Make a database in WAL mode, as the writer would, run `script` in it, and return its path."""
    with_wal = apsw.Connection(str(path))
    with_wal.pragma("journal_mode", "wal")
    for _ in with_wal.execute(script):
        pass
    with_wal.close()
    return path


class Reading:
    """A `ReaderService` with a method for each of its methods."""

    def __init__(self, path: Path | str, **options: Any) -> None:
        self.path = str(path)
        self.service = ReaderService({"max_result_bytes": MAX_BYTES, **options})
        self.generation = 0
        self.seq = 0

    def call(self, method: str, *params: Any, deadline: float = 0.0) -> Any:
        self.seq += 1
        return self.service.run(Call(self.seq, method, list(params), deadline))

    def json_bytes(
        self,
        sql: str,
        params: Any = (),
        *,
        shape: str = "objects",
        envelope: bool = False,
        max_bytes: int = MAX_BYTES,
        deadline: float = 0.0,
    ) -> bytes:
        values = params if isinstance(params, dict) else list(params)
        sent = (self.path, self.generation, sql, values, shape, envelope, max_bytes)
        return whole(self.call("json", *sent, deadline=deadline))

    def json(self, sql: str, params: Any = (), **how: Any) -> Any:
        return json.loads(self.json_bytes(sql, params, **how))

    def rows(
        self,
        sql: str,
        params: Any = (),
        *,
        as_maps: bool = False,
        max_count: int = 0,
        max_bytes: int = MAX_BYTES,
        deadline: float = 0.0,
    ) -> list[Any]:
        values = params if isinstance(params, dict) else list(params)
        sent = (self.path, self.generation, sql, values, as_maps, max_count, max_bytes)
        return unpack(self.call("rows", *sent, deadline=deadline))

    def stream(self, sql: str, params: Any = (), form: str = "json", number: int = 1) -> list[bytes]:
        """Return all pieces of a stream."""
        self.call("stream_open", number, self.path, self.generation, sql, list(params), form)
        pieces, is_last = [], False
        while not is_last:
            is_last, piece = self.call("stream_next", number)
            pieces.append(piece)
        return pieces


def whole(answer: bytes | Body) -> bytes:
    """Return the bytes of an answer that may be a body."""
    if isinstance(answer, bytes):
        return answer
    with answer:
        return b"".join(answer.chunks())


def unpack(answer: bytes | Body) -> list[Any]:
    """Return the packed rows of an answer."""
    if isinstance(answer, bytes):
        return list(map(tuple_of, msgspec.msgpack.decode(answer)))
    packed = whole(answer)
    rows: list[Any] = []
    while packed:
        end = 4 + int.from_bytes(packed[:4], "big")
        rows += map(tuple_of, msgspec.msgpack.decode(packed[4:end]))
        packed = packed[end:]
    return rows


def tuple_of(row: Any) -> Any:
    """Return a row as a tuple, unless it is a map."""
    return tuple(row) if isinstance(row, list) else row
