"""uvicorn's HTTP/1.1 with bounds on the head of a request and on connections, which it lacks; it tells who left.

Its parser would collect header fields without end, and wait for them without end. What is refused here, and what is no
HTTP, is answered in the shape of every other error.

A short answer is written in one piece (`WHOLE_ANSWERS`): uvicorn's way of two messages looks at each header with two
regular expressions and writes twice: 5 of the 50 us that an empty answer costs (2026-11-23, 2 cores).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from dataserver.answers import WHOLE_ANSWERS
from dataserver.departures import EXTENSION
from dataserver.errors import ErrorBody, ErrorDetail
from dataserver.wire import json_bytes

MAX_CONNECTION_COUNT: Final = 8_192
MAX_HEAD_BYTES: Final = 64 * 1024
"""Beyond the piece of data it began in, which the event loop cuts at 256 KiB."""
MAX_HEAD_FIELDS: Final = 100
HEAD_TIMEOUT_S: Final = 10.0


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with bounds on a request's head, and on connections."""

    _head_open = False
    _head_bytes = 0
    _too_many_fields = False
    _head_timer: asyncio.TimerHandle | None = None
    _leave: Callable[[], None] | None = None
    """What to call when the client leaves; of the last request that asked for it."""
    _cycles: tuple[RequestResponseCycle, ...] = ()
    """The requests that have come and are not answered yet."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTION_COUNT:
            self._refuse(503, "too_many_connections", f"{MAX_CONNECTION_COUNT} connections are open already")
            return
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up_on_head)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        for cycle in self._cycles:  # of several sent at once, uvicorn tells the last one only
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)
        if self._leave is not None:
            self._leave()
            self._leave = None

    @override
    def data_received(self, data: bytes) -> None:
        if self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    431, "head_too_large", f"the request's head is longer than {MAX_HEAD_BYTES} bytes"
                )
                return
        super().data_received(data)
        if self._head_open:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up_on_head)
        elif self._head_timer is not None:
            self._forget_timer()

    @override
    def on_message_begin(self) -> None:
        self._head_open = True
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self._take_departure}  # type: ignore[dict-item] # uvicorn types them as empty

    @override
    def on_headers_complete(self) -> None:
        self._head_open = False
        if len(self.headers) > MAX_HEAD_FIELDS:
            self._too_many_fields = True
            raise _TooManyFields
        super().on_headers_complete()
        open_cycles = (cycle for cycle in self._cycles if not cycle.response_complete)
        self._cycles = (*open_cycles, self.cycle)
        if self.scope["method"] != "HEAD":
            self.scope["extensions"][WHOLE_ANSWERS] = partial(self._write_whole, self.cycle)  # type: ignore[assignment] # as above

    @override
    def send_400_response(self, msg: str) -> None:
        if self._too_many_fields:
            self._refuse(431, "head_too_large", f"the request has more than {MAX_HEAD_FIELDS} header fields")
        else:
            self._refuse(400, "invalid_http", "the request is no valid HTTP")

    def _write_whole(
        self, cycle: RequestResponseCycle, status: int, content_type: bytes, body: bytes
    ) -> bool:
        """Write an answer, as `RequestResponseCycle.send` would; see `WriteWhole`."""
        if (
            cycle.disconnected
            or cycle.response_started
            or cycle.access_log
            or not cycle.keep_alive
            or cycle.flow.write_paused
        ):
            return False
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        defaults = b"".join([b"%b: %b\r\n" % each for each in cycle.default_headers])
        self.transport.write(
            b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (STATUS_LINE[status], defaults, content_type, len(body), body)
        )
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _take_departure(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    def _give_up_on_head(self) -> None:
        self._head_timer = None
        self._refuse(408, "head_timed_out", f"the request's head did not arrive in {HEAD_TIMEOUT_S:g} s")

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._forget_timer()
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr] # it's None at first
        if not answering:  # else an answer is under way: just close
            body = json_bytes(ErrorBody(error=ErrorDetail(code=code, class_="permanent", message=message)))
            self.transport.write(
                b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (status, HTTPStatus(status).phrase.encode(), len(body), body)
            )
        self.transport.close()


class _TooManyFields(Exception):
    """Ends the parsing of a request whose head has too many fields."""
