"""Opens pools: starts the workers, falls back to another kind where one can't run, closes in an orderly way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from workers.completion import running_loop
from workers.pool import Pool
from workers.settings import KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers.completion import Loop
    from workers.pool import Backend
    from workers.settings import Kind, PoolSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

DRAIN_S = 5.0
"""How long a closing pool waits for calls that were admitted."""


@asynccontextmanager
async def open_pool(
    service: str,
    options: dict[str, Any],
    settings: PoolSettings,
    *,
    name: str,
    has_lanes: bool = True,
    drain_s: float = DRAIN_S,
) -> AsyncIterator[Pool]:
    """Open a pool whose workers each build `service` (`module:Class`) with `options` (what MessagePack carries).

    Where a kind can't run here (no processes or threads to be had), the next of process, thread, inline is taken,
    and the log and the statistics say why. With `has_lanes` and more than one worker, worker 0 takes no scans. On
    leaving, calls under way get `drain_s` seconds, then they fail with `PoolClosed`; no worker is left behind.

    Raises:
        ServiceUnavailable: The service could not be built.
    """
    loop = running_loop()
    fallback_reason: str | None = None
    pool: Pool | None = None
    for kind in KINDS[KINDS.index(settings.kind) :]:
        pool = Pool(
            _backend(kind, service, options, loop, settings, name),
            settings,
            loop,
            name=name,
            fallback_reason=fallback_reason,
            has_lanes=has_lanes,
        )
        try:
            await pool.start_workers()
            break
        except OSError as error:
            if kind == KINDS[-1]:
                raise
            fallback_reason = f"{kind} workers can't run here: {error}"
            _log.warning("workers.kind_unavailable", pool=name, kind=kind, reason=str(error))
    assert pool is not None  # noqa: S101 - KINDS is not empty
    statistics = pool.statistics()
    _log.info("workers.pool_opened", pool=name, kind=pool.kind, worker_count=statistics.worker_count)
    failure: BaseException | None = None
    async with anyio.create_task_group() as keepers:
        for index in range(statistics.worker_count):
            keepers.start_soon(pool.keep_alive, index)
        try:
            yield pool
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
            failure = error
        with anyio.CancelScope(shield=True):
            await pool.drain(drain_s)
            keepers.cancel_scope.cancel()
            await pool.stop()
    _log.info("workers.pool_closed", pool=name, kind=pool.kind, worker_count=statistics.worker_count)
    if failure is not None:
        raise failure


def _backend(
    kind: Kind, service: str, options: dict[str, Any], loop: Loop, settings: PoolSettings, name: str
) -> Backend:
    if kind == "inline":
        from workers.backends.inline import InlineBackend  # noqa: PLC0415 - only what is used

        return InlineBackend(service, options, loop)
    if kind == "thread":
        from workers.backends.threads import ThreadBackend  # noqa: PLC0415

        return ThreadBackend(service, options, loop, settings, name)
    from workers.backends.processes import ProcessBackend  # noqa: PLC0415

    return ProcessBackend(service, options, loop, settings, name)
