"""The chat as a bot or a desktop program uses it: what it does is kept and delivered, what it reads is here at once.

    async with chat.Client("https://chat.example", store="~/.chat") as client:
        await client.login("ann", "secret")
        receipt = client.send(room, "hello")            # at once, also without a connection
        async for event in client.events(): ...

The store is a folder: `queue.db` holds what is to be done, `cache.db` what was read, the tokens and what is the user's
own. Whatever is done is shown at once and shown no longer if it fails; see `effects`.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio import AsyncContextManagerMixin
from typing_extensions import override

from chat.client.deeds import Deeds
from chat.client.events import Listeners
from chat.client.handlers.messages import may_go_along
from chat.client.handlers.table import SEND
from chat.client.live import Live
from chat.client.opening import open_parts
from chat.client.own_keys import OwnKeys
from chat.client.own_settings import OwnSettings
from chat.client.readings import Readings
from chat.client.settings import ClientSettings
from chat.client.streams import StreamTaking
from chat.client.under_way import UnderWay
from chat.own_tasks import own_tasks
from chat.queue.actions import BUILT_IN, ActionTypes
from chat.queue.clock import SystemQueueClock

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterable
    from typing import Self

    import msgspec

    from chat.client.events import Heard
    from chat.client.logins import Login
    from chat.client.views import StreamEvent
    from chat.queue.action_queue import ActionQueue
    from chat.queue.action_type import ActionType
    from chat.queue.clock import QueueClock
    from chat.queue.receipts import Receipt


class Client(Deeds, Readings, AsyncContextManagerMixin):
    """A user's client; enter it to use it. One process uses a store at a time."""

    queue: ActionQueue
    """Where actions wait: to look at them, to cancel or retry one."""
    settings: OwnSettings
    """The user's settings."""
    keys: OwnKeys
    """The keys of the user's spaces."""

    def __init__(
        self,
        url: str,
        *,
        store: str | os.PathLike[str],
        settings: ClientSettings | None = None,
        types: Iterable[ActionType] = BUILT_IN,
        clock: QueueClock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Speak to the server at `url` (http: or https:) and keep everything in the folder `store`.

        `types` are the queue's, where a program wants others than the built-in ones: more tries, say.
        """
        self._url = url.rstrip("/")
        self._store = Path(store).expanduser()
        self._numbers = settings or ClientSettings()
        self._types = ActionTypes(types)
        self._clock = clock
        self._chance = chance
        self._listeners = Listeners()
        self._is_held = False

    @override
    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncIterator[Self]:
        clock = self._clock
        if clock is None:
            self._clock = clock = await anyio.to_thread.run_sync(SystemQueueClock.of_this_machine)
        tell = self._listeners.tell
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(
                open_parts(
                    self._url, self._store, self._numbers, types=self._types, clock=clock, chance=self._chance
                )
            )
            self._logins, self._api, self._cache = parts.logins, parts.api, parts.cache
            self._profiles, self.queue = parts.profiles, parts.queue
            self._under_way = UnderWay(
                self.queue, self._cache, self._profiles, me=lambda: self.user_id, tell=tell
            )
            await self._under_way.load()  # before anything of it is delivered, so that none moves meanwhile
            self.queue.handle_all(parts.transport)
            self.queue.handle(SEND, parts.transport.deliver, ask=parts.transport.ask, joins=may_go_along)
            self.settings = OwnSettings(parts.sync, parts.bridges, self._put, self._api)
            self.keys = OwnKeys(parts.keys, self._put)
            self._streams = StreamTaking(self._api, self._cache, tell=tell, on_own=self._heed_own)
            self._live = Live(
                _websocket_url(self._url),
                self._api,
                self._streams,
                tell=tell,
                chance=self._chance,
                on_connected=self._on_connected,
                first_wait_s=self._numbers.first_wait_s,
                most_wait_s=self._numbers.most_wait_s,
            )
            stack.callback(self.settings.close)
            await self._run(stack)
            yield self

    async def _run(self, stack: AsyncExitStack) -> None:
        scope = anyio.CancelScope()

        async def limited(task: Callable[[], Any]) -> None:
            with scope:
                await task()

        group = await stack.enter_async_context(own_tasks(scope.cancel))
        group.start_soon(limited, self._background)

    async def _background(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._under_way.run)
            group.start_soon(self.settings.run)
            if self._numbers.is_live:
                group.start_soon(self._live.run)

    # -- who is logged in -----------------------------------------------------------------------------------------

    @property
    @override
    def user_id(self) -> str:
        """Whose store this is, logged in or not; empty in a new one."""
        login = self._logins.current
        return "" if login is None else login.user_id

    @property
    def is_logged_in(self) -> bool:
        """Whether there are tokens, as far as this device knows."""
        login = self._logins.current
        return login is not None and bool(login.refresh_token)

    async def register(self, name: str, password: str, *, display_name: str = "", device: str = "") -> None:
        """Make an account and log in.

        Raises:
            DeliveryError: What the server says against it.
        """
        body = {"name": name, "password": password, "display_name": display_name, "device": device}
        await self._logged_in(await self._api.begin_login("/v1/auth/register", body))

    async def login(self, name: str, password: str, *, device: str = "") -> None:
        """Log in; what waits in the queue for it goes on.

        Raises:
            AuthExpired: Name and password do not belong together.
            StoreTaken: The store is another user's.
            DeliveryError: What else the server says.
        """
        body = {"name": name, "password": password, "device": device}
        await self._logged_in(await self._api.begin_login("/v1/auth/login", body))

    async def logout(self) -> None:
        """Log out; what was read stays, and what waits in the queue waits for the next login."""
        await self._api.end_login()

    async def _logged_in(self, login: Login) -> None:
        await self.queue.resume_account(login.user_id)
        self._live.stir()

    # -- without a connection -------------------------------------------------------------------------------------

    def go_offline(self) -> None:
        """Send nothing until `go_online`; live events go on."""
        self._is_held = True
        self.queue.go_offline()

    def go_online(self) -> None:
        """Send all that is due, now, and connect."""
        self._is_held = False
        self.queue.go_online()
        self._live.stir()

    @property
    def is_connected(self) -> bool:
        """Whether live events come just now."""
        return self._live.is_connected

    @override
    def _put(self, payload: msgspec.Struct, client_id: str | None = None) -> Receipt:
        receipt = self.queue.put(payload, account=self._api.login.user_id, client_id=client_id)
        name, at_ms = self._types.of(payload).name, self._now_ms()
        self._under_way.add(receipt.client_id, name, payload, at_ms)
        if client_id is not None:
            self._under_way.check(receipt, payload)
        return receipt

    def _now_ms(self) -> int:
        assert self._clock is not None  # noqa: S101 - it is there once the client is entered
        return self._clock.wall_ms()

    # -- what happens, and what has no method here ----------------------------------------------------------------

    def events(self) -> Heard:
        """Return what happens from now on; close it when nobody listens any more."""
        return self._listeners.listen()

    async def call(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        """Call the server for what has no method here (making spaces and rooms, searching), and return its answer.

        It is not queued: without a connection it fails.

        Raises:
            DeliveryError: As `Api.call`.
        """
        return await self._api.call(method, path, body, **how)

    # -- what comes -----------------------------------------------------------------------------------------------

    def _on_connected(self) -> None:
        if not self._is_held and not self.queue.is_online:
            self.queue.go_online()
        self.settings.outdated()
        self.keys.outdated()

    def _heed_own(self, event: StreamEvent) -> None:
        if event.kind == "settings.saved":
            self.settings.outdated()
        elif event.kind == "space_keys.changed":
            self.keys.outdated()


def _websocket_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/v1/ws"
