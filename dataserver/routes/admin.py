"""`/admin` and `/v1/admin/...`: what an operator looks at, and what they can do from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import structlog

import storage
import workers
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.recent_errors import RecentError
from dataserver.refusals import InvalidBody, InvalidParameter
from dataserver.route import Parameter, Route
from dataserver.routes.web import file_answer
from dataserver.running_backups import RunningBackup
from dataserver.vitals import Vital
from dataserver.web_files import HTML
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import StorageStatistics
    from workers import PoolStatistics

_log = structlog.get_logger(__name__)

_PAGE: Final = "admin/index.html"
_MAX_DIGITS: Final = 15


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of workers; counts are since it opened."""

    storage: str
    """What is stored by it: `databases`, `chat` or `tokens`."""
    name: str
    kind: str
    worker_count: int
    alive_count: int
    busy_count: int
    waiting_count: int
    restarts_count: int
    rejected: dict[str, int]
    """Calls refused, by reason."""
    timed_out_count: int
    fallback_reason: str | None
    """Why it is not of the kind that was asked for."""


class WorkersView(msgspec.Struct, frozen=True, kw_only=True):
    """What runs SQL."""

    use_workers: bool
    """False if the event loop runs it."""
    kind: str
    """Of the databases' workers."""
    pools: list[PoolView]
    is_draining: bool
    """Workers of before still finish what they have."""
    draining_count: int
    """How many calls, streams and snapshots that is."""


class WorkersRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether workers are to run SQL."""

    workers: bool


class VitalsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the server did, second by second, and how it stands."""

    vitals: list[Vital]
    """The oldest first; 15 minutes at most."""
    errors: list[RecentError]
    workers: WorkersView
    backups: list[RunningBackup]
    """Those that are being made."""
    wal_bound_bytes: int
    """Beyond it a write-ahead log is too long."""
    is_draining: bool
    up_s: float


_DECODER: Final = msgspec.json.Decoder(WorkersRequest)


async def get_page(exchange: Exchange) -> AnyAnswer:
    """Answer the page; what it shows it asks for with the operator's token."""
    return file_answer(exchange, _PAGE)


async def get_vitals(exchange: Exchange) -> AnyAnswer:
    """Answer the last seconds."""
    text = exchange.parameter("since_ms") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise InvalidParameter(f"since_ms is {text[:64]!r}; a whole number of milliseconds is allowed")
    services = exchange.services
    return json_answer(
        VitalsAnswer(
            vitals=services.vitals.since(int(text)),
            errors=services.errors.list(),
            workers=_workers(services.workers.statistics()),
            backups=services.running_backups.list(),
            wal_bound_bytes=services.databases.settings.max_wal_bytes,
            is_draining=services.state.draining,
            up_s=SystemClock().monotonic() - services.state.started_at,
        )
    )


async def post_self_test(_exchange: Exchange) -> AnyAnswer:
    """Try each kind of worker beside those that serve."""
    return json_answer(await workers.self_test())


async def put_workers(exchange: Exchange) -> AnyAnswer:
    """Turn the workers on or off; no call fails by it, and those under way end where they are."""
    asked = await exchange.json(_DECODER)
    control, principal = exchange.services.workers, exchange.principal
    by = None if principal is None else principal.token_id
    _log.warning("admin.workers_asked", use_workers=asked.workers, by=by)
    await control.use(asked.workers)
    return json_answer(_workers(control.statistics()))


def _workers(stored: Mapping[str, StorageStatistics]) -> WorkersView:
    return WorkersView(
        use_workers=all(each.use_workers for each in stored.values()),
        kind=stored["databases"].kind,
        pools=[
            _pool(name, pool)
            for name, statistics in stored.items()
            for pool in (statistics.reader, statistics.writer)
        ],
        is_draining=any(each.is_draining for each in stored.values()),
        draining_count=sum(each.draining_count for each in stored.values()),
    )


def _pool(name: str, pool: PoolStatistics) -> PoolView:
    return PoolView(
        storage=name,
        name=pool.name,
        kind=pool.kind,
        worker_count=pool.worker_count,
        alive_count=pool.alive_count,
        busy_count=pool.busy_count,
        waiting_count=pool.waiting_count,
        restarts_count=pool.restarts_count,
        rejected=pool.rejected,
        timed_out_count=pool.timed_out_count,
        fallback_reason=pool.fallback_reason,
    )


ROUTES = (
    Route(
        method="GET",
        path="/admin",
        role=None,
        handle=get_page,
        says="Show the operations page.",
        media=(HTML,),
    ),
    Route(
        method="GET",
        path="/v1/admin/vitals",
        role="admin",
        handle=get_vitals,
        says="Read how the server did in each of the last 900 seconds.",
        answers=VitalsAnswer,
        parameters=(
            Parameter(
                name="since_ms",
                says="Only seconds that ended after this UTC time.",
                type="integer",
                least=0,
                most=10**_MAX_DIGITS - 1,
            ),
        ),
        refuses=(InvalidParameter,),
    ),
    Route(
        method="PUT",
        path="/v1/admin/workers",
        role="admin",
        handle=put_workers,
        says="Have workers run SQL, or the event loop, from now on; answers once every new call goes there.",
        reads=WorkersRequest,
        answers=WorkersView,
        refuses=(InvalidBody, storage.StorageUnavailable, storage.StorageSaturated, storage.StorageClosed),
    ),
    Route(
        method="POST",
        path="/v1/admin/self-test",
        role="admin",
        handle=post_self_test,
        says="Try each kind of worker on this machine; takes about a second.",
        answers=workers.SelfTest,
    ),
)
