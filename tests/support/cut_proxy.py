"""A TCP proxy in the test's own loop, whose connections can be cut, and which can refuse new ones."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream, SocketStream


class CutProxy:
    """Stands before one server."""

    def __init__(self, target: str) -> None:
        url = httpx2.URL(target)
        self._host, self._port = url.host, url.port or 80
        self._scopes: set[anyio.CancelScope] = set()
        self.is_open = True
        self.url = ""
        self.connection_count = 0

    def cut(self) -> None:
        """End all connections, in the midst of whatever they carry."""
        for scope in self._scopes:
            scope.cancel()

    async def serve(self, client: SocketStream) -> None:
        """Pass one connection on."""
        if not self.is_open:
            await client.aclose()
            return
        self.connection_count += 1
        async with client, await anyio.connect_tcp(self._host, self._port) as server:
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    async with anyio.create_task_group() as group:
                        group.start_soon(_pump, client, server, scope)
                        group.start_soon(_pump, server, client, scope)
                finally:
                    self._scopes.discard(scope)


async def _pump(source: ByteStream, target: ByteStream, scope: anyio.CancelScope) -> None:
    try:
        async for data in source:
            await target.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        pass  # whoever left is told of by the end of the other direction
    scope.cancel()


@asynccontextmanager
async def cut_proxy(target: str) -> AsyncIterator[CutProxy]:
    """Have a proxy before the server at `target`."""
    proxy = CutProxy(target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - no Django here
        proxy.url = f"http://127.0.0.1:{port}"
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, proxy.serve)
            try:
                yield proxy
            finally:
                group.cancel_scope.cancel()
