"""How another process comes by a page: it asks the process that has it for the descriptor.

What a shared object is handed over as is a few bytes, which go wherever bytes go: in a request's buffers, in its
parameters, in a worker's options. They name a datagram socket of one thread of the lender's and hold the page's
token; the thread answers each token with a descriptor (`SCM_RIGHTS`) and keeps nothing of who asked, so nobody who
stops or dies in the middle holds it up. The thread is there while a page is on loan.

`/proc/PID/fd/N` would need no thread, but opens whatever has that number by then, and nothing of a process that
hides its memory from debuggers, as one that holds keys should.
"""

from __future__ import annotations

import array
import contextlib
import os
import secrets
import socket
import threading
import weakref
from typing import TYPE_CHECKING

import msgspec

from workers.shared.errors import OwnerLost, SharedRefused

if TYPE_CHECKING:
    from workers.shared.page import Page

ANSWER_S = 5.0
"""How long a lender may take to answer."""
TOKEN_BYTES = 16
_MAGIC = "page1"
_OK, _UNKNOWN = b"\x01", b"\x00"


class Lender:
    """The pages that this process lends, and the thread that does it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a page can go, by the garbage collector, while this thread has it
        self._pages: dict[bytes, weakref.ref[Page]] = {}
        self._tokens: dict[int, bytes] = {}
        self._socket: socket.socket | None = None
        self._address = b""

    def lend(self, page: Page) -> bytes:
        """Return what `borrowed` takes, in this or another process, for as long as `page` is open here.

        Raises:
            OSError: No socket is to be had.
        """
        with self._lock:
            token = self._tokens.get(id(page))
            if token is None:
                if self._socket is None:
                    self._start()
                token = secrets.token_bytes(TOKEN_BYTES)
                self._pages[token] = weakref.ref(page)
                self._tokens[id(page)] = token
                weakref.finalize(page, self._take_back, id(page), token)
            return msgspec.msgpack.encode((_MAGIC, self._address, token))

    def page_of(self, token: bytes) -> Page | None:
        """Return a page that this process lends."""
        with self._lock:
            reference = self._pages.get(token)
        return None if reference is None else reference()

    def _start(self) -> None:
        self._socket = sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.bind("")  # the kernel gives it a name that is of no file system
        except OSError:
            sock.close()
            self._socket = None
            raise
        self._address = sock.getsockname()
        threading.Thread(target=self._serve, args=(sock,), name="shared-lender", daemon=True).start()

    def _take_back(self, page_id: int, token: bytes) -> None:
        with self._lock:
            self._pages.pop(token, None)
            self._tokens.pop(page_id, None)
            sock = self._socket
            if self._pages or sock is None:
                return
            self._socket = None
        sock.shutdown(
            socket.SHUT_RD
        )  # who asks from now on hears it at once; the thread answers the rest and ends

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            while True:
                token, borrower = sock.recvfrom(TOKEN_BYTES + 1)
                if not borrower:
                    return
                page = self.page_of(token)
                with contextlib.suppress(OSError):  # who asked is gone, or does not read
                    if page is None:
                        sock.sendto(_UNKNOWN, socket.MSG_DONTWAIT, borrower)
                    else:
                        sock.sendmsg([_OK], _rights(page.fd), socket.MSG_DONTWAIT, borrower)
                del page


def _rights(fd: int) -> list[tuple[int, int, bytes]]:
    """Return what `sendmsg` takes; `socket.send_fds` of Python 3.11 forgets the address."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]).tobytes())]


_lender = Lender()
lend = _lender.lend


def borrowed(buffer: bytes | memoryview) -> int | Page:
    """Return the page that `lend` described, if this process lends it, or else a descriptor, which is the caller's.

    Raises:
        SharedRefused: It describes none, or one that was closed.
        OwnerLost: Its lender is gone or silent.
    """
    try:
        magic, address, token = msgspec.msgpack.decode(buffer, type=tuple[str, bytes, bytes])
    except msgspec.MsgspecError:
        magic, address, token = "", b"", b""
    if magic != _MAGIC:
        raise SharedRefused("this is no shared object")
    page = _lender.page_of(token)
    if page is not None:
        return page
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(ANSWER_S)
        try:
            sock.bind("")
            sock.connect(address)
            sock.send(token)
            said, fds, _, _ = socket.recv_fds(sock, 1, 1)
        except OSError as error:
            raise OwnerLost("the process that lends this shared object is gone or silent") from error
    if said != _OK or not fds:
        for fd in fds:
            os.close(fd)
        raise SharedRefused("this shared object was closed by the process that lent it")
    return fds[0]
