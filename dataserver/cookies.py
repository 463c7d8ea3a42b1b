"""Sessions of pages: their tokens are in cookies that no script can read.

A page of this server asks for cookies by the header `x-chat-page`, and its answer has no tokens in it. A cookie counts as
the bearer token it holds, but changes something only together with that header: no form, link or picture of another site
can send it, and no other site's script may. `SameSite=Strict` keeps the cookies at home besides. A WebSocket can send no
header, so there the page's origin has to be this server. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chat import IssuedSession
    from dataserver.answers import Headers

PAGE_HEADER: Final = b"x-chat-page"

_ACCESS: Final = b"dataserver_access"
_REFRESH: Final = b"dataserver_refresh"
_REFRESH_PATH: Final = b"/v1/auth/refresh"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_KEPT_S: Final = 30 * 86_400
"""As long as a browser keeps them; the server ends sessions by its own settings."""
_ORIGIN_SCHEMES: Final = (b"http://", b"https://")

RequestHeaders = Mapping[bytes, bytes]


def is_page(headers: RequestHeaders) -> bool:
    """Tell whether a page of this server asks."""
    return PAGE_HEADER in headers


def authorization(headers: RequestHeaders, method: str) -> bytes | None:
    """Return the `Authorization` of a request, or what its cookie stands for."""
    said = headers.get(b"authorization")
    if said is not None or b"cookie" not in headers:
        return said
    if method not in _SAFE_METHODS and not is_page(headers):
        return None
    return _bearer(_value(headers, _ACCESS))


def socket_authorization(headers: RequestHeaders) -> bytes | None:
    """Return the same for a WebSocket's handshake."""
    said = headers.get(b"authorization")
    if said is not None or b"cookie" not in headers:
        return said
    host, origin = headers.get(b"host", b""), headers.get(b"origin", b"")
    if not host or origin.lower() not in {scheme + host.lower() for scheme in _ORIGIN_SCHEMES}:
        return None
    return _bearer(_value(headers, _ACCESS))


def refresh_token(headers: RequestHeaders) -> str:
    """Return the refresh token of a page's cookie; empty if there is none."""
    return _value(headers, _REFRESH).decode("latin-1") if is_page(headers) else ""


def cookies_of(issued: IssuedSession, scope: MutableMapping[str, Any]) -> Headers:
    """Return the headers that give a browser its cookies."""
    return (
        _cookie(_ACCESS, issued.access_token, b"/", _KEPT_S, scope),
        _cookie(_REFRESH, issued.refresh_token, _REFRESH_PATH, _KEPT_S, scope),
    )


def no_cookies(scope: MutableMapping[str, Any]) -> Headers:
    """Return the headers that take them away."""
    return (_cookie(_ACCESS, "", b"/", 0, scope), _cookie(_REFRESH, "", _REFRESH_PATH, 0, scope))


def _cookie(
    name: bytes, value: str, path: bytes, kept_s: int, scope: MutableMapping[str, Any]
) -> tuple[bytes, bytes]:
    secure = b"; Secure" if scope.get("scheme") == "https" else b""
    text = b"%b=%b; Path=%b; Max-Age=%d; HttpOnly; SameSite=Strict%b"
    return b"set-cookie", text % (name, value.encode("latin-1"), path, kept_s, secure)


def _value(headers: RequestHeaders, name: bytes) -> bytes:
    for each in headers.get(b"cookie", b"").split(b";"):
        key, _, value = each.strip().partition(b"=")
        if key == name:
            return value
    return b""


def _bearer(token: bytes) -> bytes | None:
    return b"Bearer " + token if token else None
