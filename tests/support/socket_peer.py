"""A chat's WebSocket side without a server: connections as ASGI has them, driven by a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from chat import Session, UnknownSession
from dataserver.socket.hub import Hub
from dataserver.socket.limits import SocketLimits
from dataserver.socket.sockets import PATH, Sockets
from tests.support.chat_domain import ChatBench, open_bench

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 20.0


class Peer:
    """One client: what it says, and what it is told."""

    def __init__(self, app: Any, headers: dict[bytes, bytes] | None = None, *, path: str = PATH) -> None:
        self._app = app
        self._path = path
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said.put_nowait({"type": "websocket.connect"})
        self._headers = headers or {}
        self.told: list[dict[str, Any]] = []
        """Every frame, decoded."""
        self.closed: tuple[int, str] | None = None
        self.status = 101
        """Of the handshake."""
        self.reads = asyncio.Event()
        """While it is not set, the client reads nothing."""
        self.reads.set()
        self._changed = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        """Be connected until the server or the client ends it."""
        scope = {
            "type": "websocket",
            "path": self._path,
            "headers": list(self._headers.items()),
            "extensions": {"websocket.http.response": {}},
        }
        await self._app(scope, self._said.get, self._take)

    async def _take(self, message: Any) -> None:
        await self.reads.wait()
        match message["type"]:
            case "websocket.send":
                self.told.append(json.loads(message["text"]))
            case "websocket.close":
                self.closed = (message["code"], message["reason"])
                self._said.put_nowait({"type": "websocket.disconnect", "code": message["code"]})
            case "websocket.http.response.start":
                self.status = message["status"]
            case "websocket.http.response.body":
                self.told.append(json.loads(message["body"]))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def say(self, **command: Any) -> None:
        """Send a command."""
        self.say_text(json.dumps(command))

    def say_text(self, text: str) -> None:
        """Send a text frame."""
        self._said.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self._said.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        """Go without a word."""
        self._said.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        number = self._number
        self.say(id=number, **command)
        found: list[dict[str, Any]] = await self.until(
            lambda: [each for each in self.told if each.get("id") == number]
        )
        return found[0]

    async def until(self, found: Any) -> Any:
        """Wait until `found()` is something, and return it; it is asked after each frame."""
        with anyio.fail_after(LIMIT_S):
            while not (value := found()):
                await self._changed.wait()
        return value

    async def until_told(self, kind: str, count: int = 1) -> list[Any]:
        """Wait for so many frames of a kind, and return what they tell."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def of(self, kind: str) -> list[Any]:
        """Return what frames of a kind told."""
        return [each[kind] for each in self.told if kind in each]

    def seqs(self, stream: int) -> list[int]:
        """Return the seqs of the events that it was told of a stream."""
        return [each["seq"] for each in self.of("event") if each["stream"] == str(stream)]


@dataclass
class SocketBench:
    """The chat, its hub, and the tokens that are good."""

    chat: ChatBench
    hub: Hub
    sockets: Sockets
    tasks: asyncio.TaskGroup
    tokens: dict[bytes, Session] = field(default_factory=dict)

    def authenticate(self, authorization: bytes | None) -> Session:
        """Return whose the token is."""
        session = self.tokens.get((authorization or b"").removeprefix(b"Bearer "))
        if session is None:
            raise UnknownSession("the session has ended")
        return session

    def token(self, user_id: int, *, device_id: int = 0) -> str:
        """Make a token."""
        token = f"dsu_{user_id}-{device_id}-{len(self.tokens)}"
        self.tokens[token.encode()] = Session(user_id=user_id, device_id=device_id or user_id, name="name")
        return token

    def connect(self, headers: dict[bytes, bytes] | None = None) -> Peer:
        """Connect a client that has not said who it is."""
        peer = Peer(self.sockets, headers)
        self.tasks.create_task(peer.run())
        return peer

    async def peer(self, user_id: int, *, device_id: int = 0) -> Peer:
        """Connect a client of a user."""
        peer = self.connect()
        answer = await peer.ask(op="hello", token=self.token(user_id, device_id=device_id))
        assert "ok" in answer, answer
        return peer

    async def follower(self, user_id: int, *streams: int) -> Peer:
        """Connect a client that follows streams from now on, the room unless others are named."""
        peer = await self.peer(user_id)
        answer = await peer.ask(
            op="subscribe", streams={str(each): None for each in streams or (self.chat.room,)}
        )
        assert "ok" in answer, answer
        return peer


@asynccontextmanager
async def open_sockets(path: Path, **limits: Any) -> AsyncIterator[SocketBench]:
    """Open a chat and take connections to it."""
    async with open_bench(path) as chat:
        hub = Hub(SocketLimits(**limits))
        chat.chat.feed.listen_everywhere(hub, has_use=lambda: hub.open_count > 0)
        async with asyncio.TaskGroup() as tasks:
            bench = SocketBench(chat, hub, None, tasks)  # type: ignore[arg-type] # it is made with the bench's own tokens
            bench.sockets = Sockets(chat.chat, hub, bench.authenticate)
            yield bench
            hub.drain()
        hub.close()
