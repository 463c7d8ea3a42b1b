"""One state of a database, read as often as wanted while others write."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
from typing_extensions import override

from storage.errors import TransactionLost
from storage.log_governor import HeldRead
from storage.pool_errors import UNENCODABLE, failed_read, refused_parameters
from storage.queries import Queries
from workers import WorkerDied, WorkersError

if TYPE_CHECKING:
    from storage.means import Means
    from workers import Pool, Session

_CLOSE_S = 5.0

_numbers = count(1)
"""Given here and not by the worker, so that a snapshot can be closed whose opening was not waited for."""


class Snapshot(Queries):
    """A state of a database; made by `Database.snapshot`, usable until that is left or it was left idle for too long."""

    def __init__(self, session: Session, pool: Pool, means: Means, path: str) -> None:
        super().__init__(max_result_bytes=means.settings.max_result_bytes)
        self._session = session
        self._stack = AsyncExitStack()
        self._timeout_s = means.settings.query_timeout_s
        self._held = HeldRead(path, session, "snapshot", next(_numbers), pool=pool)
        self._is_open = True

    @classmethod
    async def opened(cls, means: Means, path: str, generation: int) -> Snapshot:
        """Open a snapshot of the database at `path`.

        Raises:
            StorageError: As `Database.snapshot`.
        """
        pool = means.readers
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(pool.session(lane="scan", tenant=path))
                snapshot = cls(session, pool, means, path)
                stack.enter_context(means.logs.holding(snapshot._held))
                try:
                    await session.call(
                        "snapshot_open",
                        [snapshot._held.number, path, generation],
                        timeout_s=snapshot._timeout_s,
                    )
                except BaseException:
                    await snapshot._tell_closed()
                    raise
            except WorkersError as error:
                raise failed_read(error) from error
            snapshot._stack = stack.pop_all()
            return snapshot

    async def close(self) -> None:
        """Let go of the state; calling again does nothing."""
        if self._is_open:
            self._is_open = False
            try:
                await self._tell_closed()
            finally:
                await self._stack.aclose()

    @override
    async def _read(self, method: str, sent: list[Any], sql: str | None, timeout_s: float | None) -> Any:
        if not self._is_open:
            raise TransactionLost("the snapshot is closed")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        self._held.used()
        try:
            return await self._session.call(
                f"snapshot_{method}", [self._held.number, *sent], timeout_s=limit_s
            )
        except WorkerDied as error:
            raise TransactionLost("the worker that held the snapshot is gone") from error
        except WorkersError as error:
            raise failed_read(error) from error
        except UNENCODABLE as error:
            raise refused_parameters(error) from error

    async def _tell_closed(self) -> None:
        """Let the worker let go of it, also when the caller was cancelled; a lost worker has done so already."""
        with anyio.CancelScope(shield=True):
            try:
                await self._session.call("snapshot_close", [self._held.number], timeout_s=_CLOSE_S)
            except WorkersError:
                return
