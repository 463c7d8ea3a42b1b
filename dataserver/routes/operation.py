"""What an operator asks: is it alive, does it take requests, what does it do, and how is it used."""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from dataserver.answers import Answer, AnyAnswer, json_answer
from dataserver.exchange import Exchange
from dataserver.openapi import description
from dataserver.refusals import ServerDraining
from dataserver.route import Route
from dataserver.wire import HealthAnswer, PoolHealth, ReadyAnswer, json_bytes

HTML = b"text/html; charset=utf-8"
PROMETHEUS = b"text/plain; version=1.0.0; charset=utf-8"


async def healthz(exchange: Exchange) -> AnyAnswer:
    """Answer that the loop turns, and what the workers are."""
    statistics = exchange.services.databases.statistics()
    workers = {
        name: PoolHealth(kind=pool.kind, worker_count=pool.worker_count, alive_count=pool.alive_count)
        for name, pool in (("readers", statistics.reader), ("writers", statistics.writer))
    }
    return json_answer(HealthAnswer(status="ok", workers=workers))


async def readyz(exchange: Exchange) -> AnyAnswer:
    """Answer whether requests are welcome."""
    if exchange.services.state.draining:
        raise ServerDraining("the server is stopping")
    return json_answer(ReadyAnswer(status="ready"))


async def metrics(exchange: Exchange) -> AnyAnswer:
    """Answer all metrics."""
    return Answer(await exchange.services.metrics.exposition(), content_type=PROMETHEUS)


async def openapi(exchange: Exchange) -> AnyAnswer:
    """Answer the description of the interface."""
    return Answer(_description_of(exchange.services.state.routes))


async def docs(_exchange: Exchange) -> AnyAnswer:
    """Answer the page that shows the description."""
    page, policy = _PAGE
    return Answer(page, content_type=HTML, headers=((b"content-security-policy", policy),))


def _page() -> tuple[bytes, bytes]:
    """Return the page, and the policy under which a browser runs that one script and nothing else."""
    page = files("dataserver.web").joinpath("docs.html").read_bytes()
    script = page.partition(b"<script>")[2].partition(b"</script>")[0]
    mark = base64.b64encode(sha256(script).digest())
    policy = (
        b"default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'; script-src 'sha256-%b'" % mark
    )
    return page, policy


_PAGE: Final = _page()  # read before there is an event loop


@cache
def _description_of(routes: tuple[Route, ...]) -> bytes:
    return json_bytes(description(routes))


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        role=None,
        handle=healthz,
        says="Tell whether the process is alive, and what its workers are.",
        answers=HealthAnswer,
    ),
    Route(
        method="GET",
        path="/readyz",
        role="read",
        handle=readyz,
        says="Tell whether the server takes requests; 503 while it stops.",
        answers=ReadyAnswer,
        refuses=(ServerDraining,),
    ),
    Route(
        method="GET",
        path="/metrics",
        role="read",
        handle=metrics,
        says="Read the metrics, in Prometheus's text format.",
        media=(PROMETHEUS,),
    ),
    Route(
        method="GET",
        path="/openapi.json",
        role="read",
        handle=openapi,
        says="Read this description.",
        answers=dict,
    ),
    Route(
        method="GET",
        path="/docs",
        role=None,
        handle=docs,
        says="Show this description as a page.",
        media=(HTML,),
    ),
)
