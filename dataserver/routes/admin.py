"""`/admin` and `/v1/admin/...`: what an operator looks at, and what they can do from there."""

from __future__ import annotations

from typing import Final

import msgspec

import workers
from dataserver.answers import AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.recent_errors import RecentError
from dataserver.refusals import InvalidParameter
from dataserver.route import Parameter, Route
from dataserver.routes.web import file_answer
from dataserver.vitals import Vital
from dataserver.web_files import HTML
from storage import StorageStatistics
from workers import SystemClock

_PAGE: Final = "admin/index.html"
_MAX_DIGITS: Final = 15


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of workers."""

    name: str
    kind: str
    worker_count: int
    alive_count: int
    restarts_count: int


class WorkersView(msgspec.Struct, frozen=True, kw_only=True):
    """What runs SQL."""

    use_workers: bool
    kind: str
    pools: list[PoolView]


class VitalsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the server did, second by second, and how it stands."""

    vitals: list[Vital]
    """The oldest first; 15 minutes at most."""
    errors: list[RecentError]
    workers: WorkersView
    is_draining: bool
    up_s: float


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
            workers=_workers(services.databases.statistics()),
            is_draining=services.state.draining,
            up_s=SystemClock().monotonic() - services.state.started_at,
        )
    )


async def post_self_test(_exchange: Exchange) -> AnyAnswer:
    """Try each kind of worker beside those that serve."""
    return json_answer(await workers.self_test())


def _workers(statistics: StorageStatistics) -> WorkersView:
    return WorkersView(
        use_workers=statistics.kind != "inline",
        kind=statistics.kind,
        pools=[
            PoolView(
                name=pool.name,
                kind=pool.kind,
                worker_count=pool.worker_count,
                alive_count=pool.alive_count,
                restarts_count=pool.restarts_count,
            )
            for pool in (statistics.reader, statistics.writer)
        ],
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
            Parameter(name="since_ms", says="Only seconds that ended after this UTC time.", type="integer"),
        ),
        refuses=(InvalidParameter,),
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
