"""Data keys at work: one session that seals, and the sessions' ciphers that open.

A seal costs one call of AES-GCM: its session's cipher is made once. Opening derives the subkey of the message's session
(some 15 us) unless it is among the `_CIPHERS_COUNT` used last. Safe from several threads; the lock is held for a
counter or a derivation, never for the encryption itself.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import override

from workers.keys.envelopes import SESSION_BYTES, Head, opened_with, sealed_with, session_key
from workers.keys.errors import DecryptError, KeyNotUsable, NoncesExhausted
from workers.keys.nonces import MESSAGES_PER_SESSION, BlockStore, SessionNumbers, StrictNumbers, process_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.utils import Buffer

    from workers.keys.envelopes import Kind
    from workers.keys.nonces import Numbers, ReplayGuard
    from workers.keys.secrets import Secret

_CIPHERS_COUNT = 256


@dataclass(frozen=True, slots=True)
class _Session:
    key_id: str
    salt: bytes
    cipher: AESGCM
    numbers: Numbers
    mark: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """All that is needed to seal some messages or a stream elsewhere, and nothing that would do for others."""

    head: Head
    key: Secret
    """The subkey of a session of its own; wipe it after use."""
    numbers: tuple[int, ...] = ()
    """One for each message; the head has the first."""

    @override
    def __repr__(self) -> str:
        return f"<ticket of the key {self.head.key_id}>"


class Sealer:
    """Seals with one of its data keys and opens with all; a keyring tells it which."""

    def __init__(
        self,
        blocks: BlockStore | None = None,
        *,
        messages_per_session: int = MESSAGES_PER_SESSION,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """With `blocks` numbers are taken in strict mode; `draw` gives random bytes."""
        self._keys: dict[str, Secret] = {}
        self._primary: str | None = None
        self._blocks = blocks
        self._strict: dict[str, StrictNumbers] = {}
        self._messages_per_session = messages_per_session
        self._draw = draw
        self._session: _Session | None = None
        self._ciphers: OrderedDict[tuple[str, bytes], AESGCM] = OrderedDict()
        self._lock = threading.RLock()

    @property
    def primary(self) -> str:
        """The id of the key that seals.

        Raises:
            KeyNotUsable: There is none any more.
        """
        primary = self._primary
        if primary is None:
            raise KeyNotUsable("the keyring is closed", key_id="", state=None)
        return primary

    def use(self, keys: Mapping[str, Secret], primary: str | None) -> None:
        """Have these keys from now on; those that are there no more are wiped."""
        with self._lock:
            former, self._keys, self._primary = self._keys, dict(keys), primary
            for key_id, key in former.items():
                if self._keys.get(key_id) is not key:
                    key.wipe()
            for name in [name for name in self._ciphers if name[0] not in self._keys]:
                del self._ciphers[name]
            if self._session is not None and self._session.key_id != primary:
                self._session = None

    def holds(self, key_id: str) -> Secret | None:
        """Return the key of that id, if it is here."""
        return self._keys.get(key_id)

    def seal(self, body: Buffer, context: bytes) -> tuple[str, bytes]:
        """Return the id of the key that was used, and the message."""
        while True:
            session = self._session
            if session is None or session.mark != process_mark():
                session = self._begun(session)
            try:
                number = session.numbers.take()
            except NoncesExhausted:
                if self._blocks is not None:
                    raise
                self._begun(session)
                continue
            head = Head("message", session.key_id, session.salt, number)
            return session.key_id, sealed_with(session.cipher, head, body, context)

    def open(self, sealed: Buffer, context: bytes, guard: ReplayGuard | None = None) -> tuple[str, bytes]:
        """Return the id of the key, and the body; with a `guard`, once."""
        head = Head.of(sealed)
        if head.kind != "message":
            raise DecryptError
        body = opened_with(self._opening(head), head, sealed, context)
        if guard is not None:
            guard.note(head.session, head.number)
        return head.key_id, body

    def ticket(self, kind: Kind, count: int) -> Ticket:
        """Return what seals `count` messages, or one stream, of a session of its own anywhere."""
        primary = self.primary
        salt = self._draw(SESSION_BYTES)
        if kind == "stream":
            head = Head(kind, primary, salt)
            return Ticket(head, self._subkey(head))
        if self._blocks is None:
            numbers = tuple(range(count))
        else:
            taking = self._numbers(primary)
            numbers = tuple(taking.take() for _ in range(count))
        head = Head(kind, primary, salt, numbers[0])
        return Ticket(head, self._subkey(head), numbers)

    def opening_ticket(self, head: Head) -> Ticket:
        """Return what opens the message or stream of `head`, and all others of its session.

        Raises:
            DecryptError: Its key is not here.
        """
        return Ticket(head, self._subkey(head))

    async def prepare(self, count: int) -> None:
        """In strict mode have `count` numbers at hand; otherwise nothing has to be done."""
        if self._blocks is not None:
            await self._numbers(self.primary).prepare(count)

    def _numbers(self, key_id: str) -> StrictNumbers:
        assert self._blocks is not None  # noqa: S101 - only asked in strict mode
        with self._lock:
            if key_id not in self._strict:
                self._strict[key_id] = StrictNumbers(self._blocks, key_id)
            return self._strict[key_id]

    def _begun(self, former: _Session | None) -> _Session:
        with self._lock:
            if self._session is not None and self._session is not former:
                return self._session
            primary, salt = self.primary, self._draw(SESSION_BYTES)
            with self._subkey(Head("message", primary, salt)) as subkey:
                cipher = AESGCM(subkey.buffer)
            numbers = (
                SessionNumbers(self._messages_per_session) if self._blocks is None else self._numbers(primary)
            )
            self._session = _Session(primary, salt, cipher, numbers, process_mark())
            return self._session

    def _opening(self, head: Head) -> AESGCM:
        name = head.key_id, head.session
        with self._lock:
            cipher = self._ciphers.get(name)
            if cipher is None:
                with self._subkey(head) as subkey:
                    cipher = self._ciphers[name] = AESGCM(subkey.buffer)
                if len(self._ciphers) > _CIPHERS_COUNT:
                    self._ciphers.popitem(last=False)
            else:
                self._ciphers.move_to_end(name)
            return cipher

    def _subkey(self, head: Head) -> Secret:
        with self._lock:
            data_key = self._keys.get(head.key_id)
            if data_key is None:
                raise DecryptError
            return session_key(data_key, head)
