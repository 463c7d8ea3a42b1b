"""A keyring: data keys that are stored wrapped, used from memory, and changed one after the other.

Whatever changes a keyring (`add`, `promote`, `retire`, `restore`, `destroy`, `rewrap`) asks its source for the
key-encryption key again, changes what is stored under a lock, and takes the change into use when it is on disk. These
block (on files, and on Argon2id with a passphrase): call them from a thread. `seal` and `open` do neither.

Rotation, with several processes: `add` in one, `reload` in all, `promote` in one, `reload` in all (what is sealed with
the former key meanwhile opens as before), then seal anew with `resealed` what `is_current` says no to, then `retire`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import override

from workers.clock import SystemClock
from workers.keys import rotation
from workers.keys.envelopes import KEY_BYTES, Head
from workers.keys.errors import DecryptError
from workers.keys.keyring_file import KeyringFile
from workers.keys.sealer import Sealer
from workers.keys.secrets import Secret
from workers.keys.stored_keys import StoredKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.utils import Buffer

    from workers.clock import Clock
    from workers.keys.envelopes import Kind
    from workers.keys.keyring_file import DocumentStore
    from workers.keys.nonces import BlockStore, ReplayGuard
    from workers.keys.rotation import State
    from workers.keys.sealer import Ticket
    from workers.keys.sources import Hardening, KeySource
    from workers.keys.stored_keys import Keys, Loaded

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

_DERIVED = b"workers.keys/1 derived "


def create_keyring(
    where: Path | DocumentStore,
    source: KeySource,
    *,
    name: str = "",
    hardening: Hardening | None = None,
    blocks: BlockStore | None = None,
    clock: Clock | None = None,
) -> Keyring:
    """Store a new keyring with one key and return it; blocks.

    `name` says what it is for. With `blocks` it seals in strict mode, which is a choice of each process.

    Raises:
        FileExistsError: A keyring is stored there already.
        KeySourceRefused: The source gives no key.
    """
    stored = StoredKeys(_store(where), source, clock or SystemClock())
    return Keyring(stored, stored.create(name, hardening), Sealer(blocks))


def open_keyring(
    where: Path | DocumentStore,
    source: KeySource,
    *,
    blocks: BlockStore | None = None,
    clock: Clock | None = None,
) -> Keyring:
    """Return the keyring that is stored there; blocks.

    Raises:
        FileNotFoundError: None is.
        KeySourceRefused: The source gives no key.
        KeyringDamaged: The key-encryption key is another one, or somebody changed what is stored.
    """
    stored = StoredKeys(_store(where), source, clock or SystemClock())
    return Keyring(stored, stored.load(), Sealer(blocks))


def _store(where: Path | DocumentStore) -> DocumentStore:
    return KeyringFile(where) if isinstance(where, Path) else where


class Keyring:
    """Seals with its primary key and opens with every key that is not retired; made by `create_keyring` or `open_keyring`."""

    def __init__(self, stored: StoredKeys, loaded: Loaded, sealer: Sealer) -> None:
        self._stored = stored
        self._sealer = sealer
        self._changing = threading.Lock()
        self._take(loaded)

    # -- messages -------------------------------------------------------------------------------------------------

    @property
    def key_id(self) -> str:
        """The id of the primary key."""
        return self._sealer.primary

    def seal(self, body: Buffer, context: bytes = b"") -> tuple[str, bytes]:
        """Return the id of the primary key, and `body` sealed with it; `context` names the row it is for.

        The context is not stored; whoever opens the message must know it (`row_context` makes one).

        Raises:
            NoncesExhausted: In strict mode no number is at hand; await `prepare`.
            MessageTooLarge: More than about 2 GiB.
        """
        return self._sealer.seal(body, context)

    def open(
        self, key_id: str | None, sealed: Buffer, context: bytes = b"", *, guard: ReplayGuard | None = None
    ) -> bytes:
        """Return the body of `sealed`; the key is the one that it names, which must be `key_id` unless that is None.

        Raises:
            DecryptError: Its key is not here or retired, the context is another one, or it was changed.
            ReplayRefused: The `guard` has seen it before.
        """
        if key_id is not None and Head.of(sealed).key_id != key_id:
            raise DecryptError
        return self._sealer.open(sealed, context, guard)[1]

    def is_current(self, sealed: Buffer) -> bool:
        """Tell whether `sealed` was sealed with the primary key; it is not opened."""
        return Head.of(sealed).key_id == self.key_id

    def resealed(self, sealed: Buffer, context: bytes = b"") -> bytes | None:
        """Return `sealed` under the primary key, None if it is already.

        Raises:
            DecryptError: It does not open.
        """
        if self.is_current(sealed):
            return None
        return self._sealer.seal(self._sealer.open(sealed, context)[1], context)[1]

    async def prepare(self, count: int = 1) -> None:
        """In strict mode reserve numbers until `count` messages can be sealed; otherwise return at once.

        Raises:
            NoncesExhausted: The primary key has none left; add and promote another one.
            NonceReused: The store was wound back; likewise.
        """
        await self._sealer.prepare(count)

    # -- keys for others -------------------------------------------------------------------------------------------

    def derived(self, purpose: bytes, *, key_id: str | None = None, length: int = KEY_BYTES) -> Secret:
        """Return a key for `purpose`, made from the data key `key_id` (the primary one if None); wipe it after use.

        Raises:
            DecryptError: There is no such key here.
        """
        data_key = self._sealer.holds(key_id or self.key_id)
        if data_key is None:
            raise DecryptError
        key = Secret.of_length(length)
        HKDF(SHA512(), length, salt=None, info=_DERIVED + purpose).derive_into(data_key.buffer, key.buffer)
        return key

    def ticket(self, kind: Kind = "message", count: int = 1) -> Ticket:
        """Return what seals `count` messages, or one stream, outside of this object; wipe its key after use.

        Raises:
            NoncesExhausted: As `seal`.
        """
        return self._sealer.ticket(kind, count)

    def opening_ticket(self, head: Head) -> Ticket:
        """Return what opens the message or stream that begins with `head`; wipe its key after use.

        Raises:
            DecryptError: Its key is not here.
        """
        return self._sealer.opening_ticket(head)

    # -- rotation ---------------------------------------------------------------------------------------------------

    def states(self) -> dict[str, State]:
        """Return the state of each key by its id, oldest first."""
        return dict(self._states)

    def add(self) -> str:
        """Make another key, which opens and does not seal yet, and return its id."""
        with self._changing:
            key_id, loaded = self._stored.add()
            self._take(loaded, "keys.key_added", key_id)
        return key_id

    def promote(self, key_id: str) -> None:
        """Seal with `key_id` from now on.

        Raises:
            KeyNotUsable: There is no such key, or it is retired or destroyed.
        """
        self._change(rotation.promoted, "keys.key_promoted", key_id)

    def retire(self, key_id: str) -> None:
        """Open nothing with `key_id` any more; `restore` takes that back.

        Raises:
            KeyNotUsable: There is no such key, or it is the primary one.
        """
        self._change(rotation.retired, "keys.key_retired", key_id)

    def restore(self, key_id: str) -> None:
        """Open with the retired `key_id` again.

        Raises:
            KeyNotUsable: There is no such key, or it is not retired.
        """
        self._change(rotation.restored, "keys.key_restored", key_id)

    def destroy(self, key_id: str) -> None:
        """Remove `key_id` for ever: what is sealed with it is lost.

        Copies of the stored keyring still hold it, wrapped: `rewrap` with a new source and destroy the old source.

        Raises:
            KeyNotUsable: There is no such key, or it is the primary one.
        """
        self._change(rotation.destroyed, "keys.key_destroyed", key_id)

    def rewrap(self, source: KeySource, hardening: Hardening | None = None) -> None:
        """Wrap all keys with the key-encryption key of another source, which is asked from now on."""
        with self._changing:
            self._take(self._stored.rewrap(source, hardening), "keys.keyring_rewrapped")

    def reload(self) -> None:
        """Take into use what another process has changed.

        Raises:
            KeySourceRefused: The source gives no key any more.
            KeyringDamaged: What is stored does not open.
        """
        with self._changing:
            self._take(self._stored.load())

    def close(self) -> None:
        """Wipe all keys; nothing is sealed or opened any more."""
        self._sealer.use({}, None)

    def _change(self, decide: Callable[[Keys, str], Keys], event: str, key_id: str) -> None:
        with self._changing:
            self._take(self._stored.change(lambda keys: decide(keys, key_id)), event, key_id)

    def _take(self, loaded: Loaded, event: str | None = None, key_id: str | None = None) -> None:
        self._name, self._states = loaded.name, loaded.states
        self._sealer.use(loaded.keys, loaded.primary)
        if event is not None:
            _log.info(event, keyring=loaded.name, key_id=key_id)

    @override
    def __repr__(self) -> str:
        return f"<keyring {self._name!r} of {len(self._states)} keys>"

    @override
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("a keyring is neither pickled nor copied")
