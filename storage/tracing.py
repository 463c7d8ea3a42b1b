"""Spans of reads and writes for OpenTelemetry, where they are wanted (`tracing`) and its API is there (extra `otel`).

A span covers a call from its caller's side: the queue, the worker and the way back. It has the statement's text, never
the values of its parameters. Where they are not wanted, nothing of this runs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from storage.errors import StorageUnavailable
from storage.slow_queries import MAX_SQL_CHARS, statement_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer

    from workers import Pool

_NAME = "dataserver.storage"


def traced(pool: Pool) -> Pool:
    """Return `pool` with a span around each call.

    Raises:
        StorageUnavailable: OpenTelemetry's API is not installed.
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise StorageUnavailable("tracing needs OpenTelemetry: install the extra `otel`") from error
    return cast("Pool", _TracedPool(pool, trace.get_tracer(_NAME)))


class _TracedPool:
    """A pool whose calls have spans; everything else is the pool's own."""

    def __init__(self, pool: Pool, tracer: Tracer) -> None:
        self._pool = pool
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def call(self, method: str, params: Any = None, **how: Any) -> Any:
        """See `Pool.call`."""
        with self._span(method, params, str(how.get("tenant", ""))):
            return await self._pool.call(method, params, **how)

    @contextmanager
    def _span(self, method: str, params: Any, tenant: str) -> Iterator[None]:
        sql, _ = statement_in(method, params)
        attributes = {
            "db.system.name": "sqlite",
            "db.namespace": tenant.rpartition("/")[2].removesuffix(".db"),
            "db.operation.name": method,
            "db.query.text": sql[:MAX_SQL_CHARS],
        }
        with self._tracer.start_as_current_span(
            f"{self._pool.name} {method}", attributes=attributes, record_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                raise
