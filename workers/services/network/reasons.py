"""From what went wrong on the network to a reason; pure."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

import anyio
import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.services.network.messages import Reason

_BY_NUMBER: dict[int, Reason] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.EACCES: "unreachable",
    errno.EPERM: "unreachable",
    errno.ETIMEDOUT: "timeout",
}
_HANGING_UP = ("disconnected", "closed connection")
_NETWORK_AUTHENTICATION_REQUIRED = 511


def reason_of(error: BaseException) -> Reason:
    """Return why a connection or a request failed: what its innermost causes say, else what it says itself."""
    found: list[Reason] = []
    for each in _with_causes(error):
        if isinstance(each, socket.gaierror | UnicodeError):
            found.append("dns")
        elif isinstance(each, ssl.SSLError):
            found.append("tls")
        elif isinstance(each, OSError) and each.errno in _BY_NUMBER:
            found.append(_BY_NUMBER[each.errno])
    if found:
        return found[-1]
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return "timeout"
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
        return "url"
    hung_up = any(words in str(error) for words in _HANGING_UP) or isinstance(
        error, httpx2.NetworkError | anyio.BrokenResourceError
    )
    return "reset" if hung_up or isinstance(error, anyio.EndOfStream) else "protocol"


def verdict(status: int, *, expected: int | None, is_elsewhere: bool) -> Reason:
    """Return what an answer means; `is_elsewhere` says that it sends its reader to another host.

    A check that expects one status (204, say) takes a redirect to elsewhere, or any other success, for a portal's.
    """
    if status == _NETWORK_AUTHENTICATION_REQUIRED:
        return "captive"
    if status == expected:
        return "ok"
    if httpx2.codes.is_redirect(status) and is_elsewhere:
        return "captive"
    if expected is not None:
        return "captive" if httpx2.codes.is_success(status) else "status"
    return "status" if httpx2.codes.is_error(status) else "ok"


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of, the innermost last."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        waiting += (each.__cause__, each.__context__)
