"""Tokens of sessions: random texts, of which only the SHA-256 is kept. Pure but for the randomness.

An access token (`dsu_`) goes with each request and lives for an hour. A refresh token (`dsr_`) is exchanged for a new
pair; all that one device gets share their first part, the family, so that one that was replaced is known as such, for
ever and without a list of them.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from typing import Final, NamedTuple

from chat.domain.refusals import UnknownSession

ACCESS_PREFIX: Final = "dsu_"
REFRESH_PREFIX: Final = "dsr_"

_SECRET_BYTES: Final = 32
_FAMILY_BYTES: Final = 16
_REFRESH: Final = re.compile(REFRESH_PREFIX + r"([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{43})")
_MAX_HEADER_BYTES: Final = 512


class RefreshHashes(NamedTuple):
    """What is kept of a refresh token."""

    family: bytes
    own: bytes


def new_access_token() -> str:
    """Return a new access token."""
    return ACCESS_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def new_family() -> str:
    """Return what the refresh tokens of a new device will share."""
    return secrets.token_urlsafe(_FAMILY_BYTES)


def new_refresh_token(family: str) -> str:
    """Return a new refresh token of a device."""
    return REFRESH_PREFIX + family + secrets.token_urlsafe(_SECRET_BYTES)


def refresh_parts(token: str) -> tuple[str, str]:
    """Return the family of a refresh token, and its own part.

    Raises:
        UnknownSession: It can be none.
    """
    found = _REFRESH.fullmatch(token)
    if found is None:
        raise UnknownSession("this is no refresh token")
    return found[1], found[2]


def refresh_hashes(token: str) -> RefreshHashes:
    """Return what is kept of a refresh token.

    Raises:
        UnknownSession: It can be none.
    """
    family, own = refresh_parts(token)
    return RefreshHashes(sha256(family.encode()).digest(), sha256(own.encode()).digest())


def access_hash(token: bytes) -> bytes:
    """Return what is kept of an access token."""
    return sha256(token).digest()


def bearer(authorization: bytes | None) -> bytes:
    """Return the token in an `Authorization` header.

    Raises:
        UnknownSession: None came, or it is no bearer token.
    """
    if authorization is None:
        raise UnknownSession("a token is needed: send `Authorization: Bearer TOKEN`")
    if len(authorization) > _MAX_HEADER_BYTES or authorization[:7].lower() != b"bearer ":
        raise UnknownSession("the Authorization header is no bearer token")
    return authorization[7:].strip()
