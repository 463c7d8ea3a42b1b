"""Opens a client's store and what works on it: the cache, the queue, the way to the server."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import httpx2

from chat.client.api import Api
from chat.client.cache import Cache
from chat.client.handlers.account import AccountHandlers
from chat.client.handlers.messages import MessageHandlers
from chat.client.handlers.spaces import SpaceHandlers
from chat.client.handlers.table import HttpTransport
from chat.client.logins import Logins
from chat.client.numbering import Numbering
from chat.client.profiles import Profiles
from chat.domain.tables import Tables
from chat.queue.action_queue import open_queue
from chat.statement_texts import load
from chat.sync.settings_sync import SettingsSync
from chat.sync.space_key_cache import SpaceKeyCache
from storage import StorageSettings
from storage import open as open_database
from workers import open_bridges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from chat.client.settings import ClientSettings
    from chat.queue.action_queue import ActionQueue
    from chat.queue.actions import ActionTypes
    from chat.queue.clock import QueueClock
    from workers import Bridges

_MIGRATIONS: Final = "chat.client.migrations"
_STATEMENTS: Final = "chat.client.statements"
_CACHE_FILE: Final = "cache.db"
_STORE: Final = StorageSettings(kind="thread", worker_count=1, plans_by_values=False, secure_delete=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a client is made of."""

    logins: Logins
    api: Api
    cache: Cache
    profiles: Profiles
    sync: SettingsSync
    keys: SpaceKeyCache
    queue: ActionQueue
    transport: HttpTransport
    """For the queue, which delivers nothing before it has it."""
    bridges: Bridges


@asynccontextmanager
async def open_parts(
    url: str,
    store: Path,
    settings: ClientSettings,
    *,
    types: ActionTypes,
    clock: QueueClock,
    chance: Callable[[], float],
) -> AsyncIterator[Parts]:
    """Open the folder `store`, making it if it is not there; what is in it was read when this begins.

    Raises:
        WrongKey, EncryptionUnavailable: The key does not fit a file of it, or this build of apsw can't encrypt.
        StorageError: A file of it can't be opened.
    """
    await anyio.Path(store).mkdir(mode=0o700, parents=True, exist_ok=True)
    statements = await anyio.to_thread.run_sync(load, _STATEMENTS)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        cache_settings, queue_settings = _STORE, settings.queue
        if settings.key is not None:
            cache_settings = replace(_STORE, keys={_CACHE_FILE: settings.key})
            queue_settings = replace(settings.queue, key=settings.key)
        database = await enter(open_database(store / _CACHE_FILE, cache_settings, migrations=_MIGRATIONS))
        http = await enter(httpx2.AsyncClient(base_url=url, timeout=settings.timeout_s))
        bridges = await enter(open_bridges(settings.crypto))
        tables = Tables(database, statements)
        logins = Logins(tables)
        api = Api(http, logins)
        cache, profiles = Cache(tables), Profiles(tables, api)
        sync, keys = SettingsSync(tables, api, clock), SpaceKeyCache(tables, api, clock)
        for part in (logins, cache, profiles, sync):
            await part.load()
        queue = await enter(
            open_queue(
                store / "queue.db",
                queue_settings,
                types=types,
                probe=api.is_reachable,
                clock=clock,
                chance=chance,
            )
        )
        transport = HttpTransport(
            api, MessageHandlers(api, Numbering()), SpaceHandlers(api), AccountHandlers(api, sync, keys)
        )
        yield Parts(
            logins=logins,
            api=api,
            cache=cache,
            profiles=profiles,
            sync=sync,
            keys=keys,
            queue=queue,
            transport=transport,
            bridges=bridges,
        )
