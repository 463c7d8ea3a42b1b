"""The stored keyring at work: read, changed under a lock, and unwrapped.

Each step asks the source for the key-encryption key, verifies the whole document with it, and wipes it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from workers.keys.documents import Document, Wrapping, decoded, encoded
from workers.keys.envelopes import KEY_BYTES, KEY_ID_BYTES
from workers.keys.errors import KeyringDamaged
from workers.keys.rotation import OPENING, StoredKey, added, primary_of
from workers.keys.secrets import Secret
from workers.keys.sources import Hardening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.clock import Clock
    from workers.keys.keyring_file import DocumentStore
    from workers.keys.rotation import State
    from workers.keys.sources import KeySource

_SALT_BYTES = 32

Keys = tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is stored, with the keys that may open unwrapped."""

    name: str
    states: dict[str, State]
    """By id, oldest first."""
    primary: str
    keys: dict[str, Secret]


class StoredKeys:
    """A stored keyring and the source of its key-encryption key."""

    def __init__(self, store: DocumentStore, source: KeySource, clock: Clock) -> None:
        self._store = store
        self._source = source
        self._clock = clock

    def create(self, name: str, hardening: Hardening | None) -> Loaded:
        """Store a keyring with one key.

        Raises:
            FileExistsError: One is stored there already.
            KeyringBusy: Somebody else is at it.
        """
        with self._store.changing():
            if self._store.read() is not None:
                raise FileExistsError("a keyring is stored there already")
            document = Document(name=name, hardening=hardening or fresh_hardening())
            with self._wrapping(self._source, document) as wrapping:
                return self._saved(document, added((), self._new_key(wrapping)), wrapping)

    def load(self) -> Loaded:
        """Return what is stored.

        Raises:
            FileNotFoundError: Nothing is.
            KeyringDamaged: It does not open, or is none of ours.
            KeySourceRefused: There is no key-encryption key.
        """
        document = self._read()
        with self._wrapping(self._source, document) as wrapping:
            wrapping.verify(document)
            return _loaded(document, wrapping)

    def add(self) -> tuple[str, Loaded]:
        """Store one more key, and return its id too."""
        ids: list[str] = []

        def with_new(keys: Keys, wrapping: Wrapping) -> Keys:
            new = self._new_key(wrapping)
            ids.append(new.id)
            return added(keys, new)

        loaded = self._change(with_new)
        return ids[0], loaded

    def change(self, decide: Callable[[Keys], Keys]) -> Loaded:
        """Store what `decide` makes of the keys.

        Raises:
            KeyNotUsable: What `decide` raises; nothing was changed.
            KeyringBusy: Somebody else is changing it; nothing was changed.
        """
        return self._change(lambda keys, _: decide(keys))

    def rewrap(self, source: KeySource, hardening: Hardening | None) -> Loaded:
        """Store the same keys, wrapped with the key of `source`, which is asked from now on."""
        with self._store.changing():
            document = self._read()
            with self._wrapping(self._source, document) as old:
                old.verify(document)
                renewed = msgspec.structs.replace(document, hardening=hardening or fresh_hardening())
                with self._wrapping(source, renewed) as new:
                    keys = tuple(_rewrapped(key, old, new) for key in document.keys)
                    loaded = self._saved(renewed, keys, new)
            self._source = source
            return loaded

    def _change(self, decide: Callable[[Keys, Wrapping], Keys]) -> Loaded:
        with self._store.changing():
            document = self._read()
            with self._wrapping(self._source, document) as wrapping:
                wrapping.verify(document)
                return self._saved(document, decide(document.keys, wrapping), wrapping)

    def _saved(self, document: Document, keys: Keys, wrapping: Wrapping) -> Loaded:
        changed = wrapping.signed(msgspec.structs.replace(document, keys=keys))
        self._store.write(encoded(changed))
        return _loaded(changed, wrapping)

    def _read(self) -> Document:
        data = self._store.read()
        if data is None:
            raise FileNotFoundError("no keyring is stored there")
        return decoded(data)

    def _new_key(self, wrapping: Wrapping) -> StoredKey:
        key_id = os.urandom(KEY_ID_BYTES).hex()
        with Secret.random(KEY_BYTES) as key:
            wrapped = wrapping.wrapped(key_id, key)
        return StoredKey(id=key_id, state="added", created_at=self._clock.now(), wrapped=wrapped)

    @contextmanager
    def _wrapping(self, source: KeySource, document: Document) -> Iterator[Wrapping]:
        with source.key(document.hardening) as key:
            wrapping = Wrapping(key, document.hardening, document.name)
        try:
            yield wrapping
        finally:
            wrapping.wipe()


def fresh_hardening() -> Hardening:
    """Return the default costs with a salt of their own."""
    return Hardening(salt=os.urandom(_SALT_BYTES))


def _loaded(document: Document, wrapping: Wrapping) -> Loaded:
    primary = primary_of(document.keys)
    if primary is None:
        raise KeyringDamaged("the keyring has no primary key")
    keys = {
        key.id: wrapping.unwrapped(key.id, key.wrapped)
        for key in document.keys
        if key.state in OPENING and key.wrapped is not None
    }
    return Loaded(document.name, {key.id: key.state for key in document.keys}, primary.id, keys)


def _rewrapped(key: StoredKey, old: Wrapping, new: Wrapping) -> StoredKey:
    if key.wrapped is None:
        return key
    with old.unwrapped(key.id, key.wrapped) as unwrapped:
        return msgspec.structs.replace(key, wrapped=new.wrapped(key.id, unwrapped))
