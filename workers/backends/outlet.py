"""The sending end of a socket to a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from workers.completion import Loop


class Outlet:
    """A non-blocking socket that keeps what the kernel does not take at once; the pool's window bounds that."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.socket = sock
        self._loop = loop
        self._rest = bytearray()

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once it is closed."""
        return self.socket.fileno()

    def send(self, data: bytes) -> None:
        """Send `data` after what is still to be sent; what a worker that is gone does not take is dropped."""
        if self._rest:
            self._rest += data
            return
        sent = self._try(data)
        if sent < len(data):
            self._rest += memoryview(data)[sent:]
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
        sent = self._try(self._rest)
        del self._rest[:sent]
        if not self._rest:
            self._loop.remove_writer(self.socket.fileno())

    def _try(self, data: bytes | bytearray) -> int:
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return len(data)  # the other end is gone; the watch on the process tells the pool
