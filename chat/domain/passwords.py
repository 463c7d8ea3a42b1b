"""Passwords: never kept, hashed by Argon2id in a worker, so that the event loop goes on.

A stored hash is one text in the customary form (`$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`), with what it took, so
that a later change of the cost leaves it good. Whoever has no hash takes as long as whoever has one.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from chat.domain.account_settings import PasswordCost
from chat.domain.refusals import InvalidValue, TooOften
from workers import Argon2id, PoolSaturated, TaskTimedOut

if TYPE_CHECKING:
    from workers import Bridges

MIN_CHARACTERS: Final = 8
MAX_BYTES: Final = 1_024
"""As UTF-8; a longer one is refused before it is hashed."""
MAX_WAITING_COUNT: Final = 32
"""Passwords that are hashed or wait for it; a worker does ten a second."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_TIMEOUT_S: Final = 20.0
_RETRY_AFTER_S: Final = 2.0
_STORED: Final = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{10,64})\$([A-Za-z0-9+/]{22,128})"
)


class StoredHash(NamedTuple):
    """What is kept of a password."""

    cost: PasswordCost
    salt: bytes
    digest: bytes

    @property
    def text(self) -> str:
        """The customary form."""
        cost = self.cost
        return (
            f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
            f"${_unpadded(self.salt)}${_unpadded(self.digest)}"
        )

    @classmethod
    def parse(cls, text: str) -> StoredHash | None:
        """Return what `text` says, None if it is no hash: nobody has that password."""
        found = _STORED.fullmatch(text)
        if found is None:
            return None
        memory_kib, passes, lanes = (int(each) for each in found.groups()[:3])
        return cls(
            PasswordCost(memory_kib=memory_kib, passes=passes, lanes=lanes),
            *(b64decode(each + "=" * (-len(each) % 4)) for each in found.groups()[3:]),
        )


class Passwords:
    """Hashes and compares, off the event loop, a few at a time."""

    def __init__(self, bridges: Bridges, cost: PasswordCost) -> None:
        self._bridges = bridges
        self._waiting_count = 0
        self._nobodys = StoredHash(cost, secrets.token_bytes(_SALT_BYTES), bytes(_HASH_BYTES))

    async def hashed(self, password: str) -> str:
        """Return what to keep of a new password.

        Raises:
            InvalidValue: It is too short or too long.
            TooOften: Too many are being hashed.
        """
        if len(password) < MIN_CHARACTERS:
            raise InvalidValue(
                f"the password has {len(password)} characters; at least {MIN_CHARACTERS} are needed",
                field="password",
            )
        given = prepared(password)
        fresh = self._nobodys._replace(salt=secrets.token_bytes(_SALT_BYTES))
        return fresh._replace(digest=await self._derived(given, fresh)).text

    async def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `stored` is what was kept of this password; takes its time whatever is stored.

        Raises:
            InvalidValue: The password is too long to be anybody's.
            TooOften: Too many are being hashed.
        """
        given = prepared(password)
        known = None if stored is None else StoredHash.parse(stored)
        digest = await self._derived(given, known or self._nobodys)
        return known is not None and hmac.compare_digest(digest, known.digest)

    async def _derived(self, password: bytes, how: StoredHash) -> bytes:
        if self._waiting_count >= MAX_WAITING_COUNT:
            raise TooOften("too many passwords are being checked", retry_after_s=_RETRY_AFTER_S)
        cost = how.cost
        derivation = Argon2id(salt=how.salt, memory_kib=cost.memory_kib, passes=cost.passes, lanes=cost.lanes)
        self._waiting_count += 1
        try:
            with anyio.CancelScope(shield=True):  # nothing stops it midway: whoever left still counts
                key = await self._bridges.crypto.derive_key(
                    password, derivation, length=len(how.digest), timeout_s=_TIMEOUT_S
                )
        except (PoolSaturated, TaskTimedOut) as error:
            raise TooOften("too many passwords are being checked", retry_after_s=_RETRY_AFTER_S) from error
        finally:
            self._waiting_count -= 1
        with key:
            return bytes(key.buffer)


def prepared(password: str) -> bytes:
    """Return the bytes of a password, the same however its letters were composed.

    Raises:
        InvalidValue: It is too long, or no text.
    """
    if len(password) > MAX_BYTES:
        raise _too_long(len(password))
    try:
        given = unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("the password is no text", field="password") from error
    if len(given) > MAX_BYTES:
        raise _too_long(len(given))
    return given


def _too_long(length: int) -> InvalidValue:
    return InvalidValue(
        f"the password is too long ({length}); at most {MAX_BYTES} bytes are allowed", field="password"
    )


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
