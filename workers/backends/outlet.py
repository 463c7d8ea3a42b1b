"""The sending end of a socket to a worker."""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.completion import Loop

_OUT_OF_FILES = frozenset({errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Outlet:
    """A non-blocking socket that keeps what the kernel does not take at once; the pool's window bounds that."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.socket = sock
        self._loop = loop
        self._rest: deque[tuple[memoryview, Sequence[int]]] = deque()
        """What is still to be sent; descriptors go with the first byte of their piece."""

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once it is closed."""
        return self.socket.fileno()

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send `data` after what is still to be sent; what a worker that is gone does not take is dropped.

        `fds` go with it; they must stay open until the worker has answered, or is gone.
        """
        if self._rest:
            self._rest.append((memoryview(data), fds))
            return
        sent = self._try(data, fds)
        if sent < len(data):
            self._rest.append((memoryview(data)[sent:], () if sent else fds))
            self._loop.add_writer(self.socket.fileno(), self._on_writable)

    def close(self) -> None:
        """Stop watching and close; calling again does nothing."""
        if self.socket.fileno() < 0:
            return
        self._loop.remove_reader(self.socket.fileno())
        if self._rest:
            self._loop.remove_writer(self.socket.fileno())
            self._rest.clear()
        self.socket.close()

    def _on_writable(self) -> None:
        while self._rest:
            data, fds = self._rest[0]
            sent = self._try(data, fds)
            if sent < len(data):
                if sent:
                    self._rest[0] = (data[sent:], ())
                return
            self._rest.popleft()
        self._loop.remove_writer(self.socket.fileno())

    def _try(self, data: bytes | memoryview, fds: Sequence[int]) -> int:
        try:
            if fds:
                return socket.send_fds(self.socket, [data], list(fds))
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if fds and error.errno in _OUT_OF_FILES:
                return 0  # the socket stays writable, so it is tried again in the next turn
            return len(data)  # the other end is gone; the watch on the process tells the pool
