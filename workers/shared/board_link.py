"""The other processes' end of a board."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from workers.frames import FrameBuffer, FrameError
from workers.shared.board_messages import MAX_ASK_BYTES, Changed, Hello, Listen, answers_in, framed
from workers.shared.errors import OwnerLost, SharedClosed, SharedRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from workers.shared.board_messages import Answer, Ask
    from workers.shared.cells import Ear, Listener

ANSWER_S = 5.0
"""How long an owner may take to answer."""


class Link:
    """A connection that is made when first used, and anew after it was lost."""

    def __init__(self, path: str, token: bytes) -> None:
        self._path = path
        self._token = token
        self._lock = threading.Lock()
        self._wire: _Wire | None = None
        self._is_closed = False

    def address(self) -> tuple[str, bytes]:
        """Return where the owner is, to hand it on."""
        return self._path, self._token

    def do(self, ask: Ask) -> Answer:
        """Have the owner do what is asked.

        Raises:
            OwnerLost: It is gone or silent.
            SharedClosed: This link was closed.
            SharedRefused: More is asked for than fits one ask.
        """
        with self._lock:
            if self._is_closed:
                raise SharedClosed("this board is closed")
            if self._wire is None:
                self._wire = _Wire(self._path, self._token)
            try:
                answer: Answer = self._wire.ask(ask)
            except OwnerLost:
                self._wire.socket.close()
                self._wire = None
                raise
            return answer

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """See `Cells`."""
        wire = _Wire(self._path, self._token)
        with wire.socket:
            wire.ask(Listen())
            yield wire

    @asynccontextmanager
    async def ear(self) -> AsyncIterator[Ear]:
        """See `Cells`."""
        from workers.completion import running_loop  # noqa: PLC0415 - a worker process must not import anyio
        from workers.shared.ears import RungEar  # noqa: PLC0415

        loop = running_loop()
        ear = RungEar(loop)
        wire = _Wire(self._path, self._token)
        with wire.socket:
            wire.ask(Listen())

            def on_word() -> None:
                if not wire.drained():
                    loop.remove_reader(wire.socket.fileno())
                ear.ring()

            loop.add_reader(wire.socket.fileno(), on_word)
            try:
                yield ear
            finally:
                loop.remove_reader(wire.socket.fileno())

    def close(self) -> None:
        """Give the connection up."""
        with self._lock:
            self._is_closed = True
            wire, self._wire = self._wire, None
            if wire is not None:
                wire.socket.close()


class _Wire:
    """One socket to an owner."""

    def __init__(self, path: str, token: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_S)
        self._buffer = FrameBuffer()
        try:
            self.socket.connect(path)
            self.ask(Hello(token))
        except OSError as error:
            self.socket.close()
            raise OwnerLost("the owner of this board is gone") from error
        except BaseException:
            self.socket.close()
            raise

    def ask(self, message: Any) -> Any:
        asked = framed(message)
        if len(asked) > MAX_ASK_BYTES:
            raise SharedRefused(f"an ask takes at most {MAX_ASK_BYTES} bytes, not {len(asked)}")
        try:
            self.socket.sendall(asked)
            while True:
                for answer in self._read(self.socket.recv_into(self._buffer.writable())):
                    if not isinstance(answer, Changed):
                        return answer
        except (OSError, FrameError, msgspec.MsgspecError) as error:
            raise OwnerLost("the owner of this board is gone or silent") from error

    def sleep(self, limit_s: float) -> None:
        """See `Listener`."""
        if select.select([self.socket], [], [], limit_s)[0] and not self.drained():
            raise OwnerLost("the owner of this board is gone")

    def drained(self) -> bool:
        """Read what has come; False at the end."""
        try:
            count = self.socket.recv_into(self._buffer.writable(), 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._buffer.filled(count)
        list(self._buffer.frames())
        return count > 0

    def _read(self, count: int) -> list[Any]:
        if not count:
            raise ConnectionResetError("the owner hung up")
        self._buffer.filled(count)
        return answers_in(self._buffer)
