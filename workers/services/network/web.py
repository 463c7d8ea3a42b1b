"""The HTTP client of the checks: no proxy, no redirects, no caller's environment, certificates checked."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx2

from workers.errors import InvalidParameters

if TYPE_CHECKING:
    from workers.services.network.messages import Reason

USER_AGENT = "workers-network-check"
_SCHEMES = frozenset({"http", "https"})
_PORTS = range(1, 65_536)
_NEVER_IN_A_HOST = frozenset(" %[]<>^|")


def trust_in(ca_pem: str | None) -> ssl.SSLContext:
    """Return what trusts the system's certificates, or those of `ca_pem` alone; this reads files, so not on a loop.

    Raises:
        InvalidParameters: `ca_pem` holds no certificate.
    """
    try:
        return ssl.create_default_context(cadata=ca_pem)
    except ssl.SSLError as error:
        raise InvalidParameters("ca_pem holds no certificate") from error


def client_for(timeout_s: float, trust: ssl.SSLContext) -> httpx2.AsyncClient:
    """Return a client for one check; it is to be made before the loop is, for it imports what it needs."""
    return httpx2.AsyncClient(
        verify=trust,
        timeout=timeout_s,
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Cache-Control": "no-cache"},
    )


def url_of(text: str) -> httpx2.URL | None:
    """Return a URL that can be asked, or None."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        return None
    is_one = url.scheme in _SCHEMES and url.host and not _NEVER_IN_A_HOST & set(url.host)
    return url if is_one and (url.port is None or url.port in _PORTS) else None


def is_elsewhere(response: httpx2.Response) -> bool:
    """Return whether an answer sends its reader to another host."""
    location = response.headers.get("location")
    if location is None:
        return False
    target = url_of(str(response.url.join(location)))
    return target is not None and target.host != response.url.host


FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, UnicodeError)
"""What a request may end with."""


def in_words(reason: Reason, timeout_s: float) -> str:
    """Return a reason for a person; it holds nothing but what the caller sent."""
    return {
        "ok": "",
        "dns": "the name has no address",
        "refused": "nobody listens there",
        "unreachable": "there is no way there",
        "tls": "no trusted TLS connection",
        "timeout": f"no answer within {timeout_s:g} s",
        "reset": "the other side hung up",
        "captive": "somebody else answered: a portal, it seems",
        "status": "an answer of another status",
        "protocol": "the answer is not of this protocol",
        "url": "not a URL that can be asked",
    }[reason]
