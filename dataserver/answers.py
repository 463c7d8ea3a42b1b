"""What a handler returns, and how each kind of it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from dataserver.wire import json_bytes
from workers import Body

JSON: Final = b"application/json"
CSV: Final = b"text/csv; charset=utf-8"
NDJSON: Final = b"application/x-ndjson"

Headers = tuple[tuple[bytes, bytes], ...]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

WHOLE_ANSWERS: Final = "dataserver.whole_answers"
"""Under this name a server may offer to write a short answer at once; see `WriteWhole`."""
WriteWhole = Callable[[int, bytes, bytes], bool]
"""Writes the answer of a status, a type and a body; returns False if it has to go out the usual way."""

_ZERO_COPY = "http.response.zerocopysend"
_NOTHING: Final[dict[str, Any]] = {}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer that is ready, in one piece."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Headers = ()

    async def send(self, send: Send, scope: MutableMapping[str, Any]) -> int:
        """Send it and return how many bytes the body has."""
        whole: WriteWhole | None = scope.get("extensions", _NOTHING).get(WHOLE_ANSWERS)
        if whole is not None and not self.headers and whole(self.status, self.content_type, self.body):
            return len(self.body)
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [
                    (b"content-type", self.content_type),
                    (b"content-length", b"%d" % len(self.body)),
                    *self.headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": self.body})
        return len(self.body)


@dataclass(frozen=True, slots=True)
class BodyAnswer:
    """An answer that may be large: a file goes out whole by the server's own means, or slice by slice."""

    body: Body
    status: int = 200
    content_type: bytes = JSON
    headers: Headers = ()

    async def send(self, send: Send, scope: MutableMapping[str, Any]) -> int:
        """Send it, wait for a slow reader between slices, and close the body however that ends."""
        with self.body as body:
            if body.fd is None:
                return await Answer(await body.read(), self.status, self.content_type, self.headers).send(
                    send, scope
                )
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status,
                    "headers": [
                        (b"content-type", self.content_type),
                        (b"content-length", b"%d" % body.length),
                        *self.headers,
                    ],
                }
            )
            if _ZERO_COPY in scope.get("extensions", ()):
                await send({"type": _ZERO_COPY, "file": _File(body.fd), "offset": 0, "count": body.length})
                return body.length
            sent = 0
            for piece in body.chunks():
                sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": sent < body.length})
            return sent


@dataclass(frozen=True, slots=True)
class _File:
    """What `zerocopysend` takes for a file: something with a descriptor."""

    fd: int

    def fileno(self) -> int:
        return self.fd


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """An answer of any size, in pieces as they come; what makes them stops when the client leaves."""

    first: bytes
    rest: AsyncGenerator[bytes, None]
    content_type: bytes
    headers: Headers = ()
    status: int = 200

    async def send(self, send: Send, _scope: MutableMapping[str, Any]) -> int:
        """Send the pieces, each when the one before has left, and return how many bytes they had."""
        async with aclosing(self.rest) as rest:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status,
                    "headers": [(b"content-type", self.content_type), *self.headers],
                }
            )
            sent = len(self.first)
            await send({"type": "http.response.body", "body": self.first, "more_body": True})
            async for piece in rest:
                sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return sent


async def stream_answer(
    chunks: AsyncGenerator[bytes, None], content_type: bytes, headers: Headers = ()
) -> StreamAnswer:
    """Return the answer that streams `chunks`, once the first is there: until then a failure still has a status."""
    try:
        first = await anext(chunks, b"")
    except BaseException:
        await chunks.aclose()
        raise
    return StreamAnswer(first, chunks, content_type, headers)


AnyAnswer = Answer | BodyAnswer | StreamAnswer


def json_answer(value: Any, *, status: int = 200, headers: Headers = ()) -> Answer:
    """Return `value` as an answer in JSON."""
    return Answer(json_bytes(value), status, JSON, headers)
