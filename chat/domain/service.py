"""The chat as one object: opened over its database file, closed with what runs for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from chat.domain.account_settings import AccountSettings
from chat.domain.accounts import Accounts
from chat.domain.acting import Acting
from chat.domain.direct import Direct
from chat.domain.feed import EventFeed
from chat.domain.groups import Groups
from chat.domain.invites import Invites
from chat.domain.limits import ChatLimits
from chat.domain.log_imports import LogImports
from chat.domain.members import Members
from chat.domain.messages import Messages
from chat.domain.moderation import Moderation
from chat.domain.paces import Paces
from chat.domain.profiles import Profiles
from chat.domain.read_markers import ReadMarkers
from chat.domain.rooms import Rooms
from chat.domain.search import Search
from chat.domain.sending import Sending
from chat.domain.settings_documents import SettingsDocuments
from chat.domain.signing_keys import SigningKeys
from chat.domain.space_keys import SpaceKeys
from chat.domain.spaces import Spaces
from chat.domain.streams import Streams
from chat.domain.tables import MIGRATIONS, STATEMENTS, Tables
from chat.domain.upkeep import Upkeep
from chat.own_tasks import own_tasks
from chat.statement_texts import load
from storage import StorageSettings
from storage import open as open_database
from workers import BridgeSettings, SystemClock, open_bridges

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator

    from chat.domain.sending import Ack, NewMessage
    from workers import Bridges, Clock


class Chat:
    """The chat's parts; made by `open_chat`, usable until that is left."""

    def __init__(
        self,
        tables: Tables,
        limits: ChatLimits,
        clock: Clock,
        feed: EventFeed,
        bridges: Bridges,
        *,
        accounts: AccountSettings,
    ) -> None:
        self.tables = tables
        self.limits = limits
        self.clock = clock
        self.feed = feed
        self.paces = Paces(clock, accounts)
        self.acting = Acting(tables, clock, self.paces)
        self.accounts = Accounts(tables, accounts, clock, bridges)
        self.profiles = Profiles(tables, self.acting, limits, bridges)
        self.sending = Sending(tables, limits, clock, self.paces.sends)
        self.messages = Messages(tables, self.acting, limits)
        self.read_markers = ReadMarkers(tables, self.acting, self.paces.read_markers)
        self.search = Search(tables, limits, self.paces.searches)
        self.spaces = Spaces(tables, self.acting, limits)
        self.members = Members(tables, self.acting, limits, self.spaces)
        self.moderation = Moderation(tables, self.acting, limits)
        self.invites = Invites(tables, self.acting, limits, self.spaces, self.members)
        self.direct = Direct(tables, self.acting, limits, self.spaces)
        self.rooms = Rooms(tables, self.acting, limits)
        self.groups = Groups(tables, self.acting, limits)
        self.log_imports = LogImports(tables, limits, clock)
        self.upkeep = Upkeep(tables, limits, clock)
        self.streams = Streams(tables)
        self.signing_keys = SigningKeys(tables, self.acting)
        self.settings = SettingsDocuments(tables, self.acting, self.signing_keys, bridges)
        self.space_keys = SpaceKeys(tables, self.acting)

    def close(self) -> None:
        """Let what runs for it end."""
        self.sending.close()
        self.feed.close()
        self.upkeep.close()

    async def send(self, message: NewMessage) -> Ack:
        """Store a message; see `Sending.send`."""
        return await self.sending.send(message)


@asynccontextmanager
async def open_chat(
    path: str | os.PathLike[str],
    settings: StorageSettings | None = None,
    *,
    limits: ChatLimits | None = None,
    accounts: AccountSettings | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Chat]:
    """Open the chat whose tables are in the file at `path`, making it if it is not there.

    Raises:
        DatabaseCorrupt, MigrationFailed, StorageError: As `storage.open`.
    """
    statements = await anyio.to_thread.run_sync(load, STATEMENTS)
    settings = replace(
        settings or StorageSettings(), plans_by_values=False
    )  # the same few statements, always
    async with (
        open_database(path, settings, migrations=MIGRATIONS) as database,
        open_bridges(BridgeSettings(kind="thread")) as bridges,
    ):
        tables = Tables(database, statements)
        feed = EventFeed(tables)
        tables.on_written = feed.stir
        await feed.start()
        chat = Chat(
            tables,
            limits or ChatLimits(),
            clock or SystemClock(),
            feed,
            bridges,
            accounts=accounts or AccountSettings(),
        )
        async with own_tasks(chat.close) as tasks:
            tasks.start_soon(feed.run)
            tasks.start_soon(chat.sending.run)
            tasks.start_soon(chat.upkeep.run)
            await chat.accounts.load()
            yield chat
