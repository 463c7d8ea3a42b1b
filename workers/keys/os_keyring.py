"""The key-encryption key in the system's keyring; needs the extra `keyring`.

On a server without a desktop session there is usually no such keyring, and the library then says so: this source is
for programs of a user, and never a default.
"""

from __future__ import annotations

import base64
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from workers.keys.errors import KeySourceRefused
from workers.keys.secrets import Secret
from workers.keys.sources import KEY_BYTES, key_of_text

if TYPE_CHECKING:
    from workers.keys.sources import Hardening


class PasswordStore(Protocol):
    """What the library `keyring`, or one of its backends, offers."""

    def get_password(self, service: str, username: str, /) -> str | None: ...  # noqa: D102 - the library's
    def set_password(self, service: str, username: str, password: str, /) -> None: ...  # noqa: D102 - the library's


class OsKeyringSource:
    """A password of `service` and `user` in the system's keyring (or in `store`) that holds the key as text."""

    def __init__(self, service: str, user: str, store: PasswordStore | None = None) -> None:
        self.service = service
        self.user = user
        self._store = _system_store() if store is None else store

    @classmethod
    def create(cls, service: str, user: str, store: PasswordStore | None = None) -> OsKeyringSource:
        """Store a fresh key there; may block, and may ask the user.

        Raises:
            KeySourceRefused: One is there already, or there is no keyring on this system.
        """
        source = cls(service, user, store)
        if source._text() is not None:
            raise KeySourceRefused(f"the system's keyring has a key of {service} and {user} already")
        with Secret.random(KEY_BYTES) as key:
            text = base64.b64encode(key.buffer).decode()
        try:
            source._store.set_password(service, user, text)
        except _failure() as error:
            raise KeySourceRefused(f"the system's keyring took no key: {type(error).__name__}") from error
        return source

    def key(self, hardening: Hardening) -> Secret:  # noqa: ARG002 - a random key needs none
        """See `KeySource`."""
        text = self._text()
        if text is None:
            raise KeySourceRefused(f"the system's keyring has no key of {self.service} and {self.user}")
        return key_of_text(text, "the entry of the system's keyring")

    def _text(self) -> str | None:
        try:
            return self._store.get_password(self.service, self.user)
        except _failure() as error:
            raise KeySourceRefused(f"the system's keyring gave no key: {type(error).__name__}") from error


def _system_store() -> PasswordStore:
    try:
        return cast("PasswordStore", import_module("keyring"))
    except ModuleNotFoundError as error:
        raise KeySourceRefused(
            "the system's keyring needs the extra `keyring`: pip install 'dataserver[keyring]'"
        ) from error


def _failure() -> type[Exception]:
    try:
        return cast("type[Exception]", import_module("keyring.errors").KeyringError)
    except ModuleNotFoundError:
        return OSError
