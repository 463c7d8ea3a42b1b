"""The way of every request through the application: what handles it, how it ends, that it is counted.

Each way out is here and nowhere else: an answer, a refusal, a bug (500 and one traceback), a client that left (its
handler is cancelled, nothing is sent), a body that came too slowly (408), the server's own end (the cancel goes on).
One coroutine stands between the server and the handler, since a hot read is little more than such steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from dataserver.answers import AnyAnswer, json_answer
from dataserver.errors import answering, error_body, error_headers
from dataserver.metrics import FAILED_STATUS
from dataserver.refusals import BodyTimedOut

if TYPE_CHECKING:
    from dataserver.answers import Send
    from dataserver.departures import Departures, Receive, Visit
    from dataserver.metrics import Metrics
    from dataserver.recent_errors import RecentErrors

CLIENT_LEFT: Final = 499
"""The status under which a request is counted whose client left; nobody receives it."""

Scope = MutableMapping[str, Any]

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class Front:
    """Runs handlers; one for the whole application."""

    def __init__(self, departures: Departures, metrics: Metrics, errors: RecentErrors) -> None:
        self._departures = departures
        self._metrics = metrics
        self._errors = errors

    async def run(
        self,
        label: str,
        handle: Callable[[Visit, Scope, _T], Awaitable[AnyAnswer]],
        where: _T,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Handle one request and send its answer, whatever happens; count it under `label`.

        Args:
            label: The route's name in metrics.
            handle: Makes the answer; it gets `where` too, what routing found out.
            where: See `handle`.
            scope: Of the request.
            receive: Of the request.
            send: Of the request.
        """
        visit = self._departures.begin(scope, receive)
        started = perf_counter()
        status, sent_bytes, begun = CLIENT_LEFT, 0, False
        try:
            try:
                answer = await handle(visit, scope, where)
                begun = True
                sent_bytes = await answer.send(send, scope)
                status = answer.status
            except Exception as error:  # noqa: BLE001 - the border: whatever it is ends here, and the client is told
                status, sent_bytes = await self._refused(error, label, scope, None if begun else send)
            except asyncio.CancelledError:
                if visit.ended_by != "slow body":
                    raise
                visit.task.uncancel()
                slow = BodyTimedOut("the body did not arrive in time")
                status, sent_bytes = await self._refused(slow, label, scope, send)
        except asyncio.CancelledError:
            if visit.ended_by != "departure":
                raise
            visit.task.uncancel()
        finally:
            self._departures.end(visit)
            self._metrics.count_request(label, status, perf_counter() - started, sent_bytes)

    async def _refused(
        self, error: Exception, label: str, scope: Scope, send: Send | None
    ) -> tuple[int, int]:
        """Log `error` and answer it; return the status and how many bytes went out.

        Without `send` an answer has begun, and only returning without its end is left: the server breaks the connection.
        """
        how = answering(type(error))
        if how.status >= FAILED_STATUS:
            self._errors.add(route=label, code=how.code, status=how.status)
        if how.level == "error":
            _log.error("request.failed", route=label, code=how.code, exc_info=error)
        else:
            getattr(_log, how.level)("request.refused", route=label, code=how.code, status=how.status)
        if send is None:
            _log.warning("request.broken_off", route=label, code=how.code)
            return how.status, 0
        answer = json_answer(error_body(error, how), status=how.status, headers=error_headers(error, how))
        return how.status, await answer.send(send, scope)
