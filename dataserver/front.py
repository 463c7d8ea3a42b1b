"""The way of every request through the application: what handles it, how it ends, that it is counted.

Each way out is here and nowhere else: an answer, a refusal, a bug (500 and one traceback), a client that left (its
handler is cancelled, nothing is sent), a body that came too slowly (408), the server's own end (the cancel goes on).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import structlog

from dataserver.answers import AnyAnswer, json_answer
from dataserver.errors import answering, error_body, error_headers
from dataserver.refusals import BodyTimedOut

if TYPE_CHECKING:
    from dataserver.answers import Send
    from dataserver.departures import Departures, Receive, Visit
    from dataserver.metrics import Metrics

CLIENT_LEFT: Final = 499
"""The status under which a request is counted whose client left; nobody receives it."""

_log = structlog.get_logger(__name__)


class Front:
    """Runs handlers; one for the whole application."""

    def __init__(self, departures: Departures, metrics: Metrics) -> None:
        self._departures = departures
        self._metrics = metrics

    async def run(
        self,
        label: str,
        handle: Callable[[Visit], Awaitable[AnyAnswer]],
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Handle one request and send its answer, whatever happens; count it under `label`."""
        visit = self._departures.begin(receive)
        started = perf_counter()
        status, sent_bytes = CLIENT_LEFT, 0
        try:
            status, sent_bytes = await _answered(label, handle, visit, scope, send)
        except asyncio.CancelledError:
            if visit.ended_by is None:
                raise
            visit.task.uncancel()
        finally:
            self._departures.end(visit)
            self._metrics.count_request(label, status, perf_counter() - started, sent_bytes)


async def _answered(
    label: str,
    handle: Callable[[Visit], Awaitable[AnyAnswer]],
    visit: Visit,
    scope: MutableMapping[str, Any],
    send: Send,
) -> tuple[int, int]:
    """Send an answer, and return its status and how many bytes its body had."""
    answer: AnyAnswer | None = None
    try:
        answer = await handle(visit)
        return answer.status, await answer.send(send, scope)
    except asyncio.CancelledError:
        if visit.ended_by != "slow body":
            raise
        visit.task.uncancel()
        answer = refusal(BodyTimedOut("the body did not arrive in time"), label)
    except Exception as error:  # noqa: BLE001 - the border: whatever it is, it ends here, and the client is told
        begun = answer is not None
        answer = refusal(error, label)
        if begun:  # the server breaks the connection off when we return without having ended the answer
            _log.warning("request.broken_off", route=label)
            return answer.status, 0
    return answer.status, await answer.send(send, scope)


def refusal(error: Exception, label: str) -> AnyAnswer:
    """Return the answer that `error` gets, and log it: what is our fault with its traceback, the rest briefly."""
    how = answering(type(error))
    if how.level == "error":
        _log.error("request.failed", route=label, code=how.code, exc_info=error)
    else:
        getattr(_log, how.level)("request.refused", route=label, code=how.code, status=how.status)
    return json_answer(error_body(error, how), status=how.status, headers=error_headers(error, how))
