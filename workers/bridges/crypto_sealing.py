"""The part of the crypto bridge that seals and opens messages under the keys of a keyring.

Whatever the kind of worker, data keys stay in this process. A worker gets the subkey of one session, a process in a
memfd that is overwritten when the task is over. A request to encrypt that a worker left unanswered is done again under
another session, never with the same nonce.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread
from typing_extensions import override

from workers.bridges.base import Bridge
from workers.errors import PoolClosed, TaskTimedOut, WorkerDied
from workers.keys.envelopes import MAX_MESSAGE_BYTES, Head
from workers.keys.errors import DecryptError, MessageTooLarge
from workers.keys.handover import HandedSecret
from workers.keys.secrets import Secret
from workers.services.batches import flat, grouped, joined, lengths_of, parted, picked
from workers.services.crypto import service
from workers.services.crypto.messages import opened_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.buffers import Bytes, Input
    from workers.keys.keyring import Keyring
    from workers.keys.sealer import Ticket
    from workers.settings import Kind

Octets = bytes | memoryview
"""`bytes`, or from `VIEW_FROM_BYTES` on a read-only view: making `bytes` of 64 MiB would hold up the loop for 20 ms."""

VIEW_FROM_BYTES = 256 * 1024
_DERIVED_AT_ONCE_COUNT = 10
"""Subkeys made on the loop, 20 us each; more are made in a thread."""
OWN_PROCESS = frozenset({"derive", "sign", "seal_here"})
"""Never done in a worker process: secrets would have to go there or come from there, or one has just failed."""


class SealingBridge(Bridge):
    """Encrypts and decrypts messages; the public face is `CryptoBridge`."""

    async def encrypt(
        self, keyring: Keyring, body: Bytes, *, context: bytes = b"", timeout_s: float | None = None
    ) -> Octets:
        """Return `body` sealed with AES-256-GCM under the keyring's primary key, bound to `context`.

        Raises:
            NoncesExhausted, NonceReused: In strict mode the key can't be used any more; promote another one.
            MessageTooLarge: More than about 2 GiB; encrypt a file or a stream.
            Exception: As every bridge; see `Bridge._request`.
        """
        body = flat(body)
        if self._is_here("seal", len(body)):
            await keyring.prepare()
            return keyring.seal(body, context)[1]
        return (await self._sealed(keyring, [body], [context], timeout_s))[0]

    async def decrypt(
        self, keyring: Keyring, sealed: Bytes, *, context: bytes = b"", timeout_s: float | None = None
    ) -> Octets:
        """Return the body of `sealed`.

        Raises:
            DecryptError: Its key is not here, the context is another one, or it was changed.
        """
        sealed = flat(sealed)
        if self._is_here("open", len(sealed)):
            return keyring.open(None, sealed, context)
        body = (await self._opened(keyring, [sealed], [context], timeout_s))[0]
        if body is None:
            raise DecryptError
        return body

    async def encrypt_many(
        self,
        keyring: Keyring,
        items: Sequence[tuple[Bytes, bytes]],
        *,
        timeout_s: float | None = None,
    ) -> list[Octets]:
        """Return each `(body, context)` sealed, in order, with few hops for many; `timeout_s` is for each hop."""
        bodies, contexts = [flat(body) for body, _ in items], [context for _, context in items]
        return [
            sealed
            for group in grouped(bodies)
            for sealed in await self._sealed(
                keyring, picked(bodies, group), picked(contexts, group), timeout_s
            )
        ]

    async def decrypt_many(
        self,
        keyring: Keyring,
        items: Sequence[tuple[Bytes, bytes]],
        *,
        timeout_s: float | None = None,
    ) -> list[Octets | None]:
        """Return the body of each `(sealed, context)` in order, None for what does not open."""
        messages, contexts = [flat(sealed) for sealed, _ in items], [context for _, context in items]
        return [
            body
            for group in grouped(messages)
            for body in await self._opened(
                keyring, picked(messages, group), picked(contexts, group), timeout_s
            )
        ]

    # -- how ------------------------------------------------------------------------------------------------------

    @override
    def _place(self, method: str, size_bytes: int) -> Kind:
        kind = super()._place(method, size_bytes)
        return "thread" if kind == "process" and method in OWN_PROCESS else kind

    def _is_here(self, method: str, size_bytes: int) -> bool:
        """Tell whether `method` is done at once, without the 100 us that a request takes even on the loop.

        Raises:
            PoolClosed: The bridge is closed.
        """
        if self._closing.is_set():
            raise PoolClosed(f"the bridge {self.name} is closed")
        return self._place(method, size_bytes) == "inline"

    @contextmanager
    def _lent(self, key: Secret, kind: Kind) -> Iterator[Input]:
        """Give `key` as a buffer for a worker of `kind`, and wipe it afterwards for both."""
        with key:
            if kind != "process":
                yield key.buffer
            else:
                with HandedSecret(key) as handed:
                    yield handed.body

    async def _sealed(
        self, keyring: Keyring, bodies: Sequence[Bytes], contexts: Sequence[bytes], timeout_s: float | None
    ) -> list[Octets]:
        largest = max(map(len, bodies))
        if largest > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"{largest} bytes in one message; at most {MAX_MESSAGE_BYTES} are allowed")
        body = joined(bodies)
        method, kind = "seal", self._place("seal", len(body))
        while True:
            await keyring.prepare(len(bodies))
            ticket = keyring.ticket("message", len(bodies))
            params = service.SealParams(
                key_id=ticket.head.key_id,
                session=ticket.head.session,
                numbers=ticket.numbers,
                contexts=tuple(contexts),
                lengths=lengths_of(bodies),
            )
            try:
                with self._lent(ticket.key, kind) as key:
                    answer = await self._answer(
                        method, params, list[int], buffers=[key, body], timeout_s=timeout_s, idempotent=False
                    )
            except (WorkerDied, TaskTimedOut):
                if not self._may_redo(kind):
                    raise
                method, kind = "seal_here", "thread"
            else:
                with answer:
                    return [_octets(part) for part in parted(answer.buffers[0].mapped(), answer.value)]

    async def _opened(
        self, keyring: Keyring, messages: Sequence[Bytes], contexts: Sequence[bytes], timeout_s: float | None
    ) -> list[Octets | None]:
        if len(messages) <= _DERIVED_AT_ONCE_COUNT:
            keys = _subkeys(keyring, messages)
        else:
            keys = await anyio.to_thread.run_sync(_subkeys, keyring, messages)
        known = [index for index, which in enumerate(keys.which) if which >= 0]
        found: list[Octets | None] = [None] * len(messages)
        if not known:
            return found
        part = [messages[index] for index in known]
        params = service.OpenParams(
            keys=tuple(keys.which[index] for index in known),
            contexts=tuple(contexts[index] for index in known),
            lengths=lengths_of(part),
        )
        message = joined(part)
        with self._lent(keys.joined, self._place("open", len(message))) as lent:
            answer = await self._answer(
                "open", params, list[bool], buffers=[lent, message], timeout_s=timeout_s
            )
        with answer:
            rooms = parted(answer.buffers[0].mapped(), [opened_length(len(each)) for each in part])
            for index, opens, body in zip(known, answer.value, rooms, strict=True):
                found[index] = _octets(body) if opens else None
        return found

    def _may_redo(self, kind: Kind) -> bool:
        return kind == "process" and self._settings.redo_in_process


@dataclass(frozen=True, slots=True)
class _Subkeys:
    which: list[int]
    """For each message the index of its subkey, -1 where its key is not here."""
    joined: Secret


def _subkeys(keyring: Keyring, messages: Sequence[Bytes]) -> _Subkeys:
    """Return the subkeys that open `messages`; each takes some 20 us."""
    places: dict[tuple[str, bytes], int] = {}
    tickets: list[Ticket] = []
    which: list[int] = []
    for message in messages:
        try:
            head = Head.of(message)
            place = places.get((head.key_id, head.session))
            if place is None:
                tickets.append(keyring.opening_ticket(head))
                place = places[head.key_id, head.session] = len(tickets) - 1
        except DecryptError:
            place = -1
        which.append(place)
    whole = Secret.of_length(sum(len(ticket.key) for ticket in tickets))
    for index, ticket in enumerate(tickets):
        with ticket.key as key:
            whole.buffer[index * len(key) : (index + 1) * len(key)] = key.buffer
    return _Subkeys(which, whole)


def _octets(view: memoryview) -> Octets:
    return bytes(view) if len(view) < VIEW_FROM_BYTES else view.toreadonly()
