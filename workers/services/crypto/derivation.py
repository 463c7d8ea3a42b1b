"""Keys from passphrases: Argon2id (RFC 9106), scrypt (RFC 7914), PBKDF2 with HMAC-SHA-256.

The defaults are what their authors recommend for an interactive use: Argon2id with three passes over 64 MiB, scrypt
with 128 MiB, PBKDF2 with 600,000 rounds. All three release the interpreter. A derivation can't be stopped midway, so
the bounds below keep each to seconds.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id as Argon2idFunction
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt as ScryptFunction
from msgspec import Meta

from workers.keys.secrets import Secret

if TYPE_CHECKING:
    from cryptography.utils import Buffer

MAX_MEMORY_BYTES = 4 * 1024 * 1024 * 1024
"""Of one derivation."""

Salt = Annotated[bytes, Meta(min_length=8, max_length=1_024)]
KeyLength = Annotated[int, Meta(ge=16, le=1_024)]


class Pbkdf2(msgspec.Struct, frozen=True, kw_only=True, tag="pbkdf2-sha256"):
    """PBKDF2 with HMAC-SHA-256: where another program asks for it."""

    salt: Salt
    rounds: Annotated[int, Meta(ge=1, le=100_000_000)] = 600_000


class Scrypt(msgspec.Struct, frozen=True, kw_only=True, tag="scrypt"):
    """Takes `128 * cost * block` bytes of memory."""

    salt: Salt
    cost: Annotated[int, Meta(ge=2, le=1 << 24)] = 1 << 17
    """A power of two."""
    block: Annotated[int, Meta(ge=1, le=64)] = 8
    lanes: Annotated[int, Meta(ge=1, le=64)] = 1

    def __post_init__(self) -> None:
        """Refuse what scrypt or the machine would.

        Raises:
            ValueError: The cost is no power of two, or takes too much memory.
        """
        if self.cost & (self.cost - 1):
            raise ValueError(f"the cost is {self.cost}; scrypt takes a power of two")
        if 128 * self.cost * self.block * self.lanes > MAX_MEMORY_BYTES:
            raise ValueError(f"scrypt would take more than {MAX_MEMORY_BYTES} bytes of memory")


class Argon2id(msgspec.Struct, frozen=True, kw_only=True, tag="argon2id"):
    """The choice where nothing speaks against it; takes `memory_kib` KiB."""

    salt: Salt
    memory_kib: Annotated[int, Meta(ge=8, le=MAX_MEMORY_BYTES // 1_024)] = 64 * 1_024
    passes: Annotated[int, Meta(ge=1, le=64)] = 3
    lanes: Annotated[int, Meta(ge=1, le=64)] = 4

    def __post_init__(self) -> None:
        """Refuse what Argon2 would.

        Raises:
            ValueError: There is less memory than the lanes need.
        """
        if self.memory_kib < 8 * self.lanes:
            raise ValueError(f"memory_kib is {self.memory_kib}; {self.lanes} lanes take at least 8 each")


Derivation = Pbkdf2 | Scrypt | Argon2id

_LANES: Final = threading.Lock()
"""For Argon2id of several lanes: OpenSSL has one set of threads for them, and two derivations of one process that ask for
it at the same time fail ("not enough memory") or wait for ever (cryptography 50.0.2, OpenSSL 4.0.3; 2026-11-23)."""


def derived(how: Derivation, passphrase: Buffer, length: int) -> Secret:
    """Return the key of `length` bytes that `passphrase` gives; wipe it after use.

    Argon2id takes its passphrase as `bytes` only, so a copy of it is left to the interpreter.
    """
    if isinstance(how, Pbkdf2):
        return pbkdf2(passphrase, how.salt, how.rounds, length)
    key = Secret.of_length(length)
    if isinstance(how, Scrypt):
        function = ScryptFunction(how.salt, length, how.cost, how.block, how.lanes)
        function.derive_into(passphrase, key.buffer)
        return key
    function_of_lanes = Argon2idFunction(
        salt=how.salt,
        length=length,
        iterations=how.passes,
        lanes=how.lanes,
        memory_cost=how.memory_kib,
    )
    with _LANES if how.lanes > 1 else nullcontext():
        function_of_lanes.derive_into(bytes(passphrase), key.buffer)
    return key


def pbkdf2(
    passphrase: Buffer, salt: bytes, rounds: int, length: int, algorithm: HashAlgorithm | None = None
) -> Secret:
    """Return the key of PBKDF2 with HMAC and `algorithm`, SHA-256 if None."""
    key = Secret.of_length(length)
    PBKDF2HMAC(algorithm or SHA256(), length, salt, rounds).derive_into(passphrase, key.buffer)
    return key
