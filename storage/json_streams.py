"""Answers of any size in pieces, each made when it is asked for, from one state of the database."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import anyio

from storage.log_governor import HeldRead
from storage.pool_errors import UNENCODABLE, failed_read, refused_parameters
from workers import WorkersError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from storage.means import Means
    from workers import Session

_CLOSE_S = 5.0

_numbers = count(1)
"""Given here and not by the worker, so that a stream can be closed whose opening was not waited for."""


async def json_pieces(means: Means, path: str, opening: list[Any], timeout_s: float) -> AsyncGenerator[bytes]:
    """Yield what the statement in `opening` (generation, SQL, parameters, format) gives; see `Database.stream_json`.

    Raises:
        StorageError: As `Database.stream_json`.
    """
    number = next(_numbers)
    pool = means.readers
    try:
        async with pool.session(lane="maintenance", tenant=path) as session:
            read = HeldRead(path, session, "stream", number, pool=pool)
            is_last = False
            with means.logs.holding(read):
                try:
                    await _opened(session, [number, path, *opening], timeout_s)
                    while not is_last:
                        is_last, piece = await session.call("stream_next", [number], timeout_s=timeout_s)
                        read.used()
                        if piece:
                            yield piece
                finally:
                    if not is_last:
                        await _close(session, number)
    except WorkersError as error:
        raise failed_read(error) from error


async def _opened(session: Session, opening: list[Any], timeout_s: float) -> None:
    try:
        await session.call("stream_open", opening, timeout_s=timeout_s)
    except UNENCODABLE as error:
        raise refused_parameters(error) from error


async def _close(session: Session, number: int) -> None:
    """Let the worker let go of the snapshot, also when the caller was cancelled; a lost worker has done so already."""
    with anyio.CancelScope(shield=True):
        try:
            await session.call("stream_close", [number], timeout_s=_CLOSE_S)
        except WorkersError:
            return
