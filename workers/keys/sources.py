"""Where the key-encryption key comes from: a file, the environment, a passphrase or the system's keyring.

It wraps data keys and nothing else; a keyring asks for it when it is opened or changed, and wipes it at once. What is
told as text (environment, system's keyring) exists as a Python string for a moment, and a passphrase as `bytes`, since
Argon2id takes nothing else: these can't be wiped. A file of 32 raw bytes, readable by its owner alone, is read without
such a copy.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from typing_extensions import override

from workers.keys.errors import KeySourceRefused
from workers.keys.secrets import Secret
from workers.services.crypto.derivation import Argon2id, derived

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

KEY_BYTES: Final = 32
_HEX_CHARS = 2 * KEY_BYTES
_URLSAFE = str.maketrans("-_", "+/")
_MAX_FILE_BYTES = 1_024
_OWNER_ONLY = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_MAX_MEMORY_KIB = 4 * 1024 * 1024
_MAX_PASSES = 64
_MAX_LANES = 64
_MIN_SALT_BYTES = 16


class Hardening(msgspec.Struct, frozen=True, kw_only=True):
    """The salt and the costs with which a passphrase becomes a key; stored with the keyring.

    The costs are those that RFC 9106 recommends where memory is scarce: three passes over 64 MiB.
    """

    salt: bytes
    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        """Refuse what would stop a process, or Argon2 itself would refuse.

        Raises:
            ValueError: A number is out of its range.
        """
        if not (
            len(self.salt) >= _MIN_SALT_BYTES
            and 1 <= self.lanes <= _MAX_LANES
            and 8 * self.lanes <= self.memory_kib <= _MAX_MEMORY_KIB
            and 1 <= self.passes <= _MAX_PASSES
        ):
            raise ValueError(
                f"the hardening takes a salt of {_MIN_SALT_BYTES} bytes, 1 to {_MAX_LANES} lanes, 8 KiB a lane to "
                f"{_MAX_MEMORY_KIB} KiB and 1 to {_MAX_PASSES} passes"
            )


class KeySource(Protocol):
    """Gives the key-encryption key of a keyring."""

    def key(self, hardening: Hardening) -> Secret:
        """Return the key, 32 bytes, which the caller wipes; may block on files or the processor.

        Raises:
            KeySourceRefused: It can't be had.
        """


class FileKeySource:
    """A file of 32 raw bytes (or 64 hexadecimal digits) that nobody but its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> FileKeySource:
        """Make the file with a fresh key; it is on disk when this returns.

        Raises:
            KeySourceRefused: It is there already, or can't be made.
        """
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
            try:
                with Secret.random(KEY_BYTES) as key:
                    os.write(file, key.buffer)
                os.fsync(file)
            finally:
                os.close(file)
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise KeySourceRefused(f"the key file can't be made: {error.strerror}") from error
        return cls(path)

    def key(self, hardening: Hardening) -> Secret:  # noqa: ARG002 - a random key needs none
        """See `KeySource`."""
        try:
            # without O_NONBLOCK a named pipe would be waited for
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise KeySourceRefused(f"the key file can't be read: {error.strerror}") from error
        read = Secret.of_length(_MAX_FILE_BYTES)
        try:
            _check(os.fstat(file))
            length = os.readv(file, [read.buffer])
            if length == KEY_BYTES:
                return Secret(memoryview(read.buffer)[:length])
            return key_of_text(bytes(read.buffer[:length]).decode("ascii", "replace"), "the key file")
        finally:
            os.close(file)
            read.wipe()


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeySourceRefused("the key file is not a regular file")
    if found.st_uid not in {os.geteuid(), 0}:
        raise KeySourceRefused("the key file belongs to another user")
    if found.st_mode & _OTHERS:
        raise KeySourceRefused(
            f"the key file has mode {stat.S_IMODE(found.st_mode):04o}; 0600 is asked for: others can read it"
        )


class EnvironmentKeySource:
    """A variable of `environ` that holds the key in base64 or hexadecimal; it is taken out, and kept here.

    The kernel's record of the environment that the process was started with stays as it is.

    Raises:
        KeySourceRefused: There is no such variable, or it holds no key.
    """

    def __init__(self, name: str, environ: MutableMapping[str, str]) -> None:
        self.name = name
        text = environ.pop(name, None)
        if text is None:
            raise KeySourceRefused(f"the environment has no variable {name}")
        self._key = key_of_text(text, f"the variable {name}")

    def key(self, hardening: Hardening) -> Secret:  # noqa: ARG002 - a random key needs none
        """See `KeySource`."""
        return Secret(self._key.buffer)

    @override
    def __repr__(self) -> str:
        return f"EnvironmentKeySource({self.name!r})"


class PassphraseKeySource:
    """A passphrase, made a key by Argon2id with the keyring's own salt and costs."""

    def __init__(self, passphrase: str | bytes) -> None:
        self._passphrase = Secret(passphrase.encode() if isinstance(passphrase, str) else passphrase)

    def key(self, hardening: Hardening) -> Secret:
        """See `KeySource`; takes some 100 ms and `hardening.memory_kib`, without holding the interpreter."""
        if not len(self._passphrase):
            raise KeySourceRefused("the passphrase is empty")
        how = Argon2id(
            salt=hardening.salt,
            memory_kib=hardening.memory_kib,
            passes=hardening.passes,
            lanes=hardening.lanes,
        )
        return derived(how, self._passphrase.buffer, KEY_BYTES)

    @override
    def __repr__(self) -> str:
        return "PassphraseKeySource(...)"


def key_of_text(text: str, name: str) -> Secret:
    """Return the key that `text` holds in base64 or hexadecimal; `name` says where it stands, for the error.

    Raises:
        KeySourceRefused: It is neither, or not of 32 bytes.
    """
    encoded = text.strip()
    try:
        raw = (
            bytes.fromhex(encoded)
            if len(encoded) == _HEX_CHARS
            else base64.b64decode(encoded.translate(_URLSAFE), validate=True)
        )
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise KeySourceRefused(f"{name} holds no key of {KEY_BYTES} bytes in base64 or hexadecimal")
    return Secret(raw)
