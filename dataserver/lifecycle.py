"""A server from its first word to its last: own the folder, open it, listen, serve, drain, close.

The first SIGTERM or SIGINT is a wish: `/readyz` answers 503, requests that run may end, the write-ahead logs go back
into their files, exit code 0. The second one is an order: what runs is cancelled, the exit code is 1, and if cleaning up
takes longer than `HARD_STOP_S` the process just ends (its workers end with it). What was acknowledged is on disk
either way.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
import structlog
from anyio.abc import TaskStatus

from dataserver.app import build_application
from dataserver.auth import IssuedToken
from dataserver.background import background
from dataserver.commands import EnsureDatabase, House
from dataserver.control import control_socket
from dataserver.door import DirectDoor, done, open_house
from dataserver.folder import DataFolder, Hold, hold
from dataserver.server import Address, serve
from dataserver.settings import Settings

ALWAYS_THERE: Final = ("global", "shared")
"""Databases that every server has; others are made as they are needed."""

HARD_STOP_S: Final = 5.0
SOCKETS_TOLD_S: Final = 2.0
"""How long a stop waits for sockets to be told and closed, before the server closes what is left."""

YOUNG_OBJECTS_COUNT: Final = 50_000
"""How many new objects make the collector look at them; Python's 700 are two or three requests' worth.

With this, and what exists at start left out of every collection, point reads over HTTP went from 15,900 to 18,400/s
(uvicorn, wrk with 64 connections, medians of two runs each, 2026-11-23).
"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What the person who started the server is told once."""

    address: Address
    first_token: IssuedToken | None
    """The admin token of the very first start; it is stored nowhere in the clear."""


class StoppedHard(Exception):
    """A second signal came before the server had drained; what ran was cancelled."""


async def run_server(
    settings: Settings,
    *,
    command: str,
    greet: Callable[[Greeting], None],
    prepare: Callable[[House], Awaitable[None]] | None = None,
) -> None:
    """Serve the data folder of `settings` until a signal comes; `prepare` is called before anybody can connect.

    Raises:
        FolderInUse: Another process owns the folder.
        FolderError: It cannot be used.
        OSError: The address cannot be listened on.
        StoppedHard: A second signal came.
    """
    folder = DataFolder(settings.server.data_dir)
    with hold(folder, command=command) as held:
        async with open_house(folder, settings.storage, with_chat=True, accounts=settings.accounts) as house:
            for name in ALWAYS_THERE:
                await done(DirectDoor(house), EnsureDatabase(database=name))
            if prepare is not None:
                await prepare(house)
            first_token = await house.tokens.create_first_admin()
            async with control_socket(folder.socket, house):
                await _serve(settings, house, held, first_token, greet)
        _log.info("server.stopped", **_workers(house))


async def _serve(
    settings: Settings,
    house: House,
    held: Hold,
    first_token: IssuedToken | None,
    greet: Callable[[Greeting], None],
) -> None:
    application = build_application(
        house.databases,
        house.tokens,
        settings=settings.http,
        backups=house.backups,
        chat=house.chat,
        sockets=settings.sockets,
    )
    stop = anyio.Event()

    def ready(address: Address) -> None:
        held.announce(address.url)
        greet(Greeting(address=address, first_token=first_token))
        if not settings.storage.use_workers:
            _log.warning(
                "storage.workers_off",
                consequence="SQLite runs on the event loop: one slow query holds up every request",
                switch="USE_SQLITE_WORKERS=1",
            )
        _log.info(
            "server.started",
            url=address.url,
            port=address.port,
            server=settings.server.server,
            data_dir=str(settings.server.data_dir),
            pid=os.getpid(),
            **_workers(house),
        )

    stopped_hard = False
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_COUNT, 20, 100)
    async with background() as tasks:

        async def stop_softly() -> None:
            application.drain()
            await application.until_told(
                SOCKETS_TOLD_S
            )  # left to itself, a server closes them without a word
            stop.set()

        async def heed_signals(*, task_status: TaskStatus[None]) -> None:
            nonlocal stopped_hard
            is_stopping = False
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                task_status.started()
                async for number in signals:
                    if is_stopping:
                        stopped_hard = True
                        _log.warning("server.stopped_hard", signal=number.name)
                        _end_within(HARD_STOP_S)
                        tasks.cancel_scope.cancel()
                        return
                    _log.info("server.stopping", signal=number.name, drain_s=settings.server.drain_s)
                    is_stopping = True
                    tasks.start_soon(stop_softly)

        await tasks.start(heed_signals)
        await serve(
            application,
            host=settings.server.host,
            port=settings.server.port,
            server=settings.server.server,
            on_ready=ready,
            stop=stop,
            drain_s=settings.server.drain_s,
            sockets=settings.sockets,
        )
    if stopped_hard:
        raise StoppedHard("stopped by a second signal; what ran was cancelled")


def _end_within(seconds: float) -> None:
    """End the process after that time, whatever it waits for: a thread does not depend on the event loop."""
    watchdog = threading.Timer(seconds, os._exit, [1])
    watchdog.daemon = True
    watchdog.start()


def _workers(house: House) -> dict[str, object]:
    statistics = house.databases.statistics()
    return {
        "use_workers": statistics.use_workers,
        "worker_kind": statistics.kind,
        "worker_count": statistics.reader.worker_count,
        "writer_count": statistics.writer.worker_count,
    }
