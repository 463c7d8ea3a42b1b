"""The other processes that have the same queue open: they wake each other, and know who is gone.

Each has a datagram socket in a folder beside the queue's file. A hint says that there may be work, or news; it may be
lost, since everybody looks by itself once in a while. The name of the socket is what claims are signed with: a claim
whose owner's socket nobody listens to belongs to a dead process, and need not be waited out. A process that has no
socket (a file system without them) is never taken for dead; its leases decide.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

WORK, NEWS, HELLO = b"w", b"n", b"h"

_SUFFIX = "-peers"
_LISTENING = "p-"
_SILENT = "s-"
_MOST_PATH_BYTES = 100
"""A socket's address holds 108 on Linux and 104 on macOS."""
_MOST_HINTS_COUNT = 256

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class Peers:
    """The processes of one queue's file, as one of them sees them; made by `open_peers`."""

    def __init__(self, folder: Path, own: socket.socket | None, folder_fd: int) -> None:
        self.name = f"{_LISTENING if own else _SILENT}{secrets.token_hex(8)}"
        """What this process signs its claims with."""
        self._folder = folder
        self._folder_fd = folder_fd
        self._socket = own
        self._others: set[str] = set()

    def hint(self, what: bytes) -> None:
        """Tell the others; this never waits."""
        for name in list(self._others):
            if self._is_gone(name, what):
                self._others.discard(name)

    async def listen(self, on_hint: Callable[[bytes], None]) -> None:
        """Call `on_hint` with each kind of hint that has come; runs for ever."""
        if self._socket is None:
            await anyio.sleep_forever()
            return
        while True:
            await anyio.wait_readable(self._socket)
            kinds = self._received(self._socket)
            if HELLO in kinds:
                await self.look_around()
            for kind in kinds - {HELLO}:
                on_hint(kind)

    async def look_around(self) -> None:
        """See who is there; where that can't be seen just now, those are told who were there before."""
        try:
            names = await anyio.to_thread.run_sync(os.listdir, self._folder)
        except OSError as error:  # the folder was taken away, or this process has no file descriptor left
            _log.info("chat.peers_not_seen", reason=str(error))
            return
        self._others = {name for name in names if name != self.name and name.startswith(_LISTENING)}

    def dead(self, owners: Iterable[str]) -> list[str]:
        """Return those of `owners` that are certainly gone."""
        if self._socket is None:
            return []
        return [
            name
            for name in owners
            if name.startswith(_LISTENING) and name != self.name and self._is_gone(name, NEWS)
        ]

    async def bury(self, names: Iterable[str]) -> None:
        """Take the sockets of processes away that are gone."""
        for name in names:
            self._others.discard(name)
            try:
                await anyio.Path(self._folder / name).unlink(missing_ok=True)
            except OSError as error:  # it stays, and is found dead again
                _log.info("chat.peer_not_buried", reason=str(error))

    def bind(self) -> None:
        """Begin to listen, and tell the others.

        Raises:
            OSError: Sockets can't be had here.
        """
        if self._socket is not None:
            self._socket.bind(self._address(self.name))

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()
            (self._folder / self.name).unlink(missing_ok=True)
        os.close(self._folder_fd)

    def _is_gone(self, name: str, what: bytes) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(what, self._address(name))
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:  # it does not read as fast as it is told: it will look
            return False
        return False

    def _address(self, name: str) -> str:
        path = str(self._folder / name)
        if len(os.fsencode(path)) <= _MOST_PATH_BYTES:
            return path
        return f"/proc/self/fd/{self._folder_fd}/{name}"

    def _received(self, own: socket.socket) -> set[bytes]:
        kinds = set()
        for _ in range(_MOST_HINTS_COUNT):
            try:
                kinds.add(own.recv(1))
            except BlockingIOError:
                break
        return kinds


@asynccontextmanager
async def open_peers(queue_path: Path) -> AsyncIterator[Peers]:
    """Join the processes that have the queue `queue_path` open."""
    peers = await anyio.to_thread.run_sync(_joined, Path(f"{queue_path}{_SUFFIX}"))
    try:
        await peers.look_around()
        peers.hint(HELLO)
        yield peers
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(peers.close)


def _joined(folder: Path) -> Peers:
    folder.mkdir(mode=0o700, exist_ok=True)
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    own: socket.socket | None = None
    try:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.setblocking(False)
        peers = Peers(folder, own, folder_fd)
        peers.bind()
    except OSError as error:
        _log.warning("chat.no_hints", reason=str(error))
        if own is not None:
            own.close()
        return Peers(folder, None, folder_fd)
    return peers
