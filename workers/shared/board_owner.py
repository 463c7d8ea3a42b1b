"""The owner's end of a board: its own calls, and one thread that answers the links of other processes."""

from __future__ import annotations

import contextlib
import secrets
import select
import selectors
import socket
import sys
import tempfile
import threading
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from workers.frames import FrameBuffer, FrameError
from workers.shared.board_messages import MAX_ASK_BYTES, Changed, Hello, Listen, Values, asks_in, framed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from workers.shared.board_table import Table
    from workers.shared.cells import Ear, Listener

MAX_LINKS_COUNT = 256
"""More are not let in: each waiting thread of another process is one, and each object there another."""
MAX_UNREAD_BYTES = 1024 * 1024
"""A link that asks for more while so much waits for it is cut; ours asks one thing at a time."""
TOKEN_BYTES = 16
_PAUSE_S = 0.05


class Owner:
    """What the process that made a board has of it; the thread starts when an address is asked for."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.do = table.do
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def address(self) -> tuple[str, bytes]:
        """Return where another process links to, and the token that lets it in.

        Raises:
            OSError: No socket is to be had.
        """
        with self._lock:
            if self._server is None:
                self._server = _Server(self.table)
                self._server.start()
            return self._server.path, self._server.token

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """See `Cells`."""
        listener = _Waiter()
        with self._heard_by(listener.ring):
            yield listener

    @asynccontextmanager
    async def ear(self) -> AsyncIterator[Ear]:
        """See `Cells`."""
        from workers.completion import running_loop  # noqa: PLC0415 - a worker process must not import anyio
        from workers.shared.ears import RungEar  # noqa: PLC0415

        loop = running_loop()
        ear = RungEar(loop)

        def ring() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there
                loop.call_soon_threadsafe(ear.ring)

        with self._heard_by(ring):
            yield ear

    def close(self) -> None:
        """End the thread and every link."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()
        self.table.changed()

    @contextmanager
    def _heard_by(self, hearer: Any) -> Iterator[None]:
        self.table.hear(hearer)
        try:
            yield
        finally:
            self.table.forget(hearer)


class _Waiter:
    def __init__(self) -> None:
        self._event = threading.Event()
        self.ring = self._event.set

    def sleep(self, limit_s: float) -> None:
        self._event.wait(limit_s)
        self._event.clear()


class _Peer:
    """One link."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.buffer = FrameBuffer(MAX_ASK_BYTES)
        self.out = bytearray()
        self.is_let_in = False
        self.listens = False


class _Server(threading.Thread):
    """Answers links until stopped; a link that talks nonsense, or stops reading its answers, is cut."""

    def __init__(self, table: Table) -> None:
        super().__init__(name="board", daemon=True)
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self._table = table
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._door = socket.socket(socket.AF_UNIX)
        name = f"board-{secrets.token_hex(8)}"
        if sys.platform == "linux":
            self.path = f"\0{name}"  # of no file system: nothing is left behind by a killed owner
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="board-")
            self.path = str(Path(self._folder.name) / name)
        self._door.bind(self.path)
        self._door.listen(MAX_LINKS_COUNT)
        self._door.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._peers: dict[Any, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        table.hear(self._ring)

    def stop(self) -> None:
        """Answer nobody any more, and end the thread and the links; returns before they have ended."""
        self._stopping = True
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # it is full, and will be read; or it is closed with the thread
            self._wake.send(b"\x01")

    @override
    def run(self) -> None:
        """Serve."""
        try:
            while not self._stopping:
                for key, events in self._selector.select():
                    if key.fileobj is self._door:
                        self._let_in()
                    elif key.fileobj is self._woken:
                        self._on_change()
                    elif (peer := self._peers.get(key.fileobj)) is not None:  # else it was cut just now
                        self._on_peer(peer, events)
        finally:
            self._table.forget(self._ring)
            for sock in (*self._peers, self._door, self._wake, self._woken):
                sock.close()
            self._selector.close()
            if self._folder is not None:
                self._folder.cleanup()

    def _let_in(self) -> None:
        try:
            sock, _ = self._door.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor is left: let one go before the next try
            select.select([], [], [], _PAUSE_S)
            return
        if len(self._peers) >= MAX_LINKS_COUNT:
            sock.close()
            return
        sock.setblocking(False)
        self._peers[sock] = _Peer(sock)
        self._selector.register(sock, selectors.EVENT_READ)

    def _on_change(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        for peer in list(self._peers.values()):
            if peer.listens and not peer.out:  # one that has not read the last word needs no other
                peer.out += framed(Changed())
                self._send(peer)

    def _on_peer(self, peer: _Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                count = peer.socket.recv_into(peer.buffer.writable())
                if not count:
                    self._cut(peer)
                    return
                peer.buffer.filled(count)
                for ask in asks_in(peer.buffer):
                    self._answer(peer, ask)
            self._send(peer)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, FrameError, msgspec.MsgspecError, PermissionError):
            self._cut(peer)

    def _answer(self, peer: _Peer, ask: Any) -> None:
        if isinstance(ask, Hello):
            peer.is_let_in = secrets.compare_digest(ask.token, self.token)
        if not peer.is_let_in or self._stopping:
            raise PermissionError("a link without the token, or too late")
        if len(peer.out) > MAX_UNREAD_BYTES:
            raise PermissionError("a link that does not read its answers")
        if isinstance(ask, Listen):
            peer.listens = True
        nothing = isinstance(ask, Hello | Listen)
        peer.out += framed(Values({}) if nothing else self._table.do(ask))

    def _send(self, peer: _Peer) -> None:
        try:
            while peer.out:
                del peer.out[: peer.socket.send(peer.out)]
        except (BlockingIOError, InterruptedError):
            self._selector.modify(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        except OSError:
            self._cut(peer)
        else:
            self._selector.modify(peer.socket, selectors.EVENT_READ)

    def _cut(self, peer: _Peer) -> None:
        if self._peers.pop(peer.socket, None) is not None:
            self._selector.unregister(peer.socket)
            peer.socket.close()
