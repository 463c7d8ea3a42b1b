"""An answer that uvicorn's side writes at once is, byte for byte, the one that it would have written in parts."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from dataserver.answers import WHOLE_ANSWERS, Answer
from tests.support.served import running

LIMIT_S = 20
BODY = b'{"id":"7"}'

REQUESTS = {
    "get": b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n",
    "post": b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}",
    "head": b"HEAD %b HTTP/1.1\r\nhost: x\r\n\r\n",
    "close": b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "1.0": b"GET %b HTTP/1.0\r\nhost: x\r\n\r\n",
    "expecting": b"POST %b HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
}
LAST = b"GET /usual HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class App:
    """Answers, with the server's offer or without it; counts what it could write at once."""

    def __init__(self) -> None:
        self.offers: list[bool] = []
        self.messages_count = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return

        async def counted(message: Any) -> None:
            self.messages_count += 1
            await send(message)

        if scope["method"] == "POST":
            await receive()
        offered = scope["extensions"] if scope["path"] == "/whole" else {}
        self.offers.append(WHOLE_ANSWERS in offered)
        headers = ((b"location", b"/x"),) if scope["query_string"] else ()
        sent = await Answer(BODY, 201, headers=headers).send(counted, {**scope, "extensions": offered})
        assert sent == len(BODY)


async def answered(port: int, said: bytes) -> bytes:
    """Say something on a connection and return all that comes, without dates."""
    came = b""
    with anyio.fail_after(LIMIT_S):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(said)
            async for piece in stream:
                came += piece
    return re.sub(rb"date: [^\r]+\r\n", b"date: -\r\n", came)


@pytest.mark.parametrize("kind", REQUESTS)
async def test_a_whole_answer_has_the_bytes_of_the_usual_one(kind: str) -> None:
    app = App()
    request = REQUESTS[kind]
    ends = kind in {"close", "1.0"}
    async with running(app, "uvicorn") as (address, _):
        usual, whole = [
            await answered(address.port, request % path + (b"" if ends else LAST))
            for path in (b"/usual", b"/whole")
        ]
    assert whole == usual
    assert usual.count(b"HTTP/1.1 201 Created\r\ndate: -\r\n") == (1 if ends else 2)
    was_whole = kind not in {"head", "close", "1.0"}
    assert app.messages_count == (2 if ends else 4) * 2 - (2 if was_whole else 0)


async def test_requests_that_came_together_are_answered_in_their_order() -> None:
    app = App()
    said = b"".join(REQUESTS["get"] % path for path in (b"/whole", b"/usual", b"/whole?1", b"/whole"))
    async with running(app, "uvicorn") as (address, _):
        came = await answered(address.port, said + LAST)
    assert came.count(BODY) == 5
    assert [b"location" in each for each in came.split(b"HTTP/1.1")[1:]] == [False, False, True, False, False]
    assert app.offers == [True, False, True, True, False]
    assert app.messages_count == 3 * 2
