"""The client for scripts: the same calls without `await`, its loop in a thread of its own."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from chat.client.client import Client

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

    from chat.client.events import ClientEvent, Heard
    from chat.client.settings import ClientSettings
    from chat.client.views import ChatMessage, ChatRoom, ChatSpace
    from chat.queue.receipts import Receipt

T = TypeVar("T")


class SyncReceipt:
    """What a script gets for what it did."""

    def __init__(self, client: SyncClient, receipt: Receipt) -> None:
        self.client_id = receipt.client_id
        self._client = client
        self._receipt = receipt

    def durable(self) -> None:
        """Wait until it is on disk; see `Receipt.durable`."""
        self._client.run(self._receipt.durable)

    def sent(self, timeout_s: float | None = None) -> Any:
        """Wait until the server has done it, and return its answer.

        Raises:
            TimeoutError: It has not by now; it stays under way.
            NotDelivered: It was given up.
        """
        return self._client.run(partial(_limited, self._receipt.sent, timeout_s))


class SyncClient:
    """A user's client for programs without an event loop; enter it to use it. Safe from several threads."""

    def __init__(
        self, url: str, *, store: str | os.PathLike[str], settings: ClientSettings | None = None
    ) -> None:
        """See `Client`."""
        self._client = Client(url, store=store, settings=settings)
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(self._client))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        self._stack.__exit__(kind, error, trace)

    def run(self, act: Callable[[], Awaitable[T]]) -> T:
        """Have the client's loop await `act()`, for what has no method here: `run(lambda: client.queue.statistics())`.

        Raises:
            RuntimeError: The client was not entered.
        """
        if self._portal is None:
            raise RuntimeError("enter the client first: `with chat.SyncClient(...) as client:`")
        return self._portal.call(act)

    def do(self, act: Callable[[Client], Receipt]) -> SyncReceipt:
        """Have the client do anything it can: `do(lambda client: client.pin(room, message))`."""

        async def on_the_loop() -> SyncReceipt:
            return SyncReceipt(self, act(self._client))

        return self.run(on_the_loop)

    def login(self, name: str, password: str, *, device: str = "") -> None:
        """See `Client.login`."""
        self.run(partial(self._client.login, name, password, device=device))

    def register(self, name: str, password: str, *, display_name: str = "", device: str = "") -> None:
        """See `Client.register`."""
        self.run(partial(self._client.register, name, password, display_name=display_name, device=device))

    def logout(self) -> None:
        """See `Client.logout`."""
        self.run(self._client.logout)

    @property
    def is_logged_in(self) -> bool:
        """Whether there are tokens, as far as this device knows."""
        return self._client.is_logged_in

    def send(self, room_id: str, content: str, *, reply_to: str | None = None) -> SyncReceipt:
        """See `Client.send`."""
        return self.do(lambda client: client.send(room_id, content, reply_to=reply_to))

    def rooms(self) -> list[ChatRoom]:
        """See `Client.rooms`."""
        return self.run(self._client.rooms)

    def messages(self, room_id: str, *, limit: int = 100) -> list[ChatMessage]:
        """See `Client.messages`."""
        return self.run(partial(self._client.messages, room_id, limit=limit))

    def backlog(self, room_id: str, *, limit: int = 100) -> list[ChatMessage]:
        """See `Client.backlog`."""
        return self.run(partial(self._client.backlog, room_id, limit=limit))

    def space(self, space_id: str) -> ChatSpace:
        """See `Client.space`."""
        return self.run(partial(self._client.space, space_id))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """See `Client.call`."""
        return self.run(partial(self._client.call, method, path, body))

    def events(self, *, timeout_s: float | None = None) -> Iterator[ClientEvent]:
        """Yield what happens from now on; ends when nothing has for `timeout_s`."""
        heard = self._client.events()
        return self._heard(heard, timeout_s)

    def _heard(self, heard: Heard, timeout_s: float | None) -> Iterator[ClientEvent]:
        try:
            while True:
                try:
                    yield self.run(partial(_limited, heard.__anext__, timeout_s))
                except TimeoutError:
                    return
        finally:
            heard.close()


async def _limited(act: Callable[[], Awaitable[T]], timeout_s: float | None) -> T:
    with anyio.fail_after(timeout_s):
        return await act()
