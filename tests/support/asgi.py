"""An ASGI application called as a server would, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]


@dataclass
class Call:
    """One request, what its client does, and what it was sent."""

    method: str = "GET"
    path: str = "/"
    body: list[bytes] = field(default_factory=lambda: [b""])
    """In the pieces in which it arrives; an empty list never does."""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let the client leave."""

    @property
    def scope(self) -> Message:
        """The scope as a server makes it."""
        path, _, query = self.path.partition("?")
        return {
            "type": "http",
            "method": self.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": list(self.headers.items()),
            "extensions": self.extensions,
        }

    async def receive(self) -> Message:
        """Give the next piece of the body; after the last one, wait for the client to leave."""
        if self.body:
            piece = self.body.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self.body)}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what is sent."""
        self.sent.append(message)

    async def by(self, app: Callable[..., Awaitable[None]]) -> Call:
        """Have `app` answer it."""
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        """The answer's status."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def answer(self) -> bytes:
        """The answer's body; it must be whole."""
        assert not self.sent[-1].get("more_body", False)
        return b"".join(message.get("body", b"") for message in self.sent[1:])
