"""Opens pools: starts the workers, falls back to another kind where one can't run, closes in an orderly way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from workers.backends.inline import InlineBackend
from workers.backends.processes import ProcessBackend
from workers.backends.threads import ThreadBackend
from workers.completion import running_loop
from workers.errors import ServiceUnavailable
from workers.pool import Pool
from workers.settings import KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from workers.completion import Loop
    from workers.settings import Kind, PoolSettings
    from workers.worker import Backend

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

    The service finds in its options, as `worker_kind`, what kind of worker it is in: it may be another than was set.
    Where a kind can't run here (no processes or threads to be had), the next of process, thread, inline is taken,
    and the log and the statistics say why. With `has_lanes` and more than one worker, worker 0 takes no scans. On
    leaving, calls under way get `drain_s` seconds, then they fail with `PoolClosed`; no worker is left behind.

    Raises:
        ServiceUnavailable: The service could not be built.
    """
    loop = running_loop()
    pool = await _started(service, options, settings, loop, name=name, has_lanes=has_lanes)
    _log.info("workers.pool_opened", pool=name, kind=pool.kind, worker_count=pool.worker_count)
    failure: BaseException | None = None
    async with anyio.create_task_group() as keepers:
        for keep in pool.keepers():
            keepers.start_soon(keep)
        try:
            yield pool
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the group, which would wrap it
            failure = error
        with anyio.CancelScope(shield=True):
            await pool.drain(drain_s)
            keepers.cancel_scope.cancel()
            await pool.stop()
    _log.info("workers.pool_closed", pool=name, kind=pool.kind, worker_count=pool.worker_count)
    if failure is not None:
        raise failure


async def _started(
    service: str, options: dict[str, Any], settings: PoolSettings, loop: Loop, *, name: str, has_lanes: bool
) -> Pool:
    makers: dict[Kind, Callable[[], Backend]] = {
        "process": lambda: ProcessBackend(
            service, {**options, "worker_kind": "process"}, loop, settings, name
        ),
        "thread": lambda: ThreadBackend(service, {**options, "worker_kind": "thread"}, loop, settings, name),
        "inline": lambda: InlineBackend(service, {**options, "worker_kind": "inline"}, loop),
    }
    reason: str | None = None
    for kind in KINDS[KINDS.index(settings.kind) :]:
        backend = makers[kind]()
        pool = Pool(backend, settings, loop, name=name, has_lanes=has_lanes, fallback_reason=reason)
        try:
            await pool.start()
        except OSError as error:
            reason = f"{kind} workers can't run here: {error}"
            _log.warning("workers.kind_unavailable", pool=name, kind=kind, reason=str(error))
        else:
            return pool
    raise ServiceUnavailable(reason or "no kind of worker was tried")
