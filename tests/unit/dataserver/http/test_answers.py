"""How a body leaves: in one piece, slice by slice, or by the server's own means."""

from __future__ import annotations

import os
from typing import Any

import pytest

from dataserver.answers import Answer, BodyAnswer
from tests.support.asgi import Call
from workers import Body

LARGE = bytes(range(256)) * 4_096


@pytest.fixture
def body() -> Body:
    """A large body in a file without a name, written before the event loop runs."""
    fd = os.memfd_create("test")
    os.write(fd, LARGE)
    return Body.from_file(fd, len(LARGE))


async def test_an_answer_has_its_length_and_type() -> None:
    call = Call()
    assert await Answer(b"{}", 201, headers=((b"location", b"/x"),)).send(call.send, call.scope) == 2
    assert call.sent[0] == {
        "type": "http.response.start",
        "status": 201,
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"location", b"/x")],
    }
    assert call.answer == b"{}"


async def test_a_large_body_leaves_in_slices_and_is_closed(body: Body) -> None:
    call = Call()
    assert await BodyAnswer(body).send(call.send, call.scope) == len(LARGE)
    assert call.answer == LARGE
    assert len(call.sent) == 5
    assert body.fd is None


async def test_a_large_body_leaves_as_a_file_where_the_server_takes_files(body: Body) -> None:
    call = Call(extensions={"http.response.zerocopysend": {}})
    read: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.zerocopysend":
            read.append(os.pread(message["file"].fileno(), message["count"], message["offset"]))

    assert await BodyAnswer(body).send(send, call.scope) == len(LARGE)
    assert read == [LARGE]
    assert body.fd is None


async def test_a_body_is_closed_when_sending_fails(body: Body) -> None:

    async def send(_: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await BodyAnswer(body).send(send, Call().scope)
    assert body.fd is None
