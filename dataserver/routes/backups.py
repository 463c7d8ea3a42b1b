"""`/v1/databases/{database}/backup`: dated copies in the data folder, made while the database is written.

The server's own databases are copied like those of users, by the names of their files.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import anyio
import msgspec

import storage
from dataserver.answers import AnyAnswer, json_answer
from dataserver.commands import BackUp, House, backed_up
from dataserver.exchange import Exchange
from dataserver.refusals import InvalidBody
from dataserver.route import Route
from dataserver.wire import BackupAnswer, BackupEntry, BackupRequest, BackupsAnswer

_DECODER: Final = msgspec.json.Decoder(BackupRequest)
_PATH = "/v1/databases/{database}/backup"


async def post_backup(exchange: Exchange) -> AnyAnswer:
    """Make a backup; the answer comes when it is on the disk."""
    asked = await exchange.json(_DECODER)
    name = exchange.path["database"]
    database = _house(exchange).database(name)
    command = BackUp(database=name, keep_count=asked.keep_count)
    with exchange.services.running_backups.one(name) as progressed:
        made = await backed_up(command, database, exchange.services.backups, progressed)
    return json_answer(msgspec.convert(made, BackupAnswer, from_attributes=True), status=201)


async def get_backups(exchange: Exchange) -> AnyAnswer:
    """Answer which backups there are."""
    name = exchange.path["database"]
    _house(exchange).database(name)  # refused where there is none
    found = []
    for place in await exchange.services.backups.of(name):
        with suppress(FileNotFoundError):  # a newer one that came meanwhile had it removed
            size_bytes = (await anyio.Path(place).stat()).st_size
            found.append(BackupEntry(name=place.name, size_bytes=size_bytes))
    return json_answer(BackupsAnswer(backups=found))


def _house(exchange: Exchange) -> House:
    services = exchange.services
    return House(services.databases, services.tokens, services.backups, services.opened_chat)


ROUTES = (
    Route(
        method="GET",
        path=_PATH,
        role="admin",
        handle=get_backups,
        says="List the dated backups of a database, the oldest first.",
        answers=BackupsAnswer,
        refuses=(storage.DatabaseNotFound, storage.InvalidDatabaseName),
    ),
    Route(
        method="POST",
        path=_PATH,
        role="admin",
        handle=post_backup,
        says="Copy a database, as it is now, into the data folder's `backups`, checked and on the disk; it goes on being written.",
        reads=BackupRequest,
        answers=BackupAnswer,
        status=201,
        refuses=(
            storage.DatabaseNotFound,
            storage.InvalidDatabaseName,
            storage.DatabaseCorrupt,
            storage.StorageFull,
            InvalidBody,
        ),
    ),
)
