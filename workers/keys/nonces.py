"""Numbers that seal: each is given out once, whatever crashes, forks or is restored.

A nonce of AES-GCM must never meet the same key twice: one repetition shows the XOR of two texts and lets others be
forged. So nobody chooses one. A *session* draws 24 random bytes, derives its own subkey from the data key with them,
and counts from 0; its numbers live in memory only. After a crash, a fork or the restore of a backup there is another
session, so another subkey, and counting from 0 again repeats nothing. What this can't see is a virtual machine that is
resumed twice from one snapshot of its memory: both copies then hold the same session.

*Strict mode* adds a second, independent guard: the numbers come in blocks from a `BlockStore`, which has them on disk
before the first is used, and no number is given twice under a data key, in whatever session. A pair could then repeat
only if the random generator repeated itself and the store was wound back as well. Numbers that a crash leaves unused
are lost, never reused. Strict mode also counts all messages of a key, over all its processes and restarts.

`ReplayGuard` is the other side: whoever takes messages from a channel (and not rows from a table, which may be read
as often as one likes) has it refuse what was opened before.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from workers.keys.errors import NonceReused, NoncesExhausted, ReplayRefused

if TYPE_CHECKING:
    from typing import Final

MESSAGES_PER_SESSION: Final = 1 << 32
"""Then the keyring begins another session; 2^48 full messages under one key would still be sound."""
MESSAGES_PER_KEY: Final = 1 << 48
"""In strict mode: then `NoncesExhausted`, and another key has to be promoted."""
BLOCK_COUNT: Final = 4_096
"""Numbers asked for at a time; so many at most are lost in a crash."""

_forks_count = 0


def _note_fork() -> None:
    global _forks_count  # noqa: PLW0603 - set in a child that has just been forked, by its only thread
    _forks_count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def process_mark() -> tuple[int, int]:
    """Return what is another value in a forked child than in its parent."""
    return os.getpid(), _forks_count


class Numbers(Protocol):
    """Where a session takes its numbers from."""

    def take(self) -> int:
        """Return a number that was never given before; safe from several threads.

        Raises:
            NoncesExhausted: None is left.
        """


class SessionNumbers:
    """Counts from 0 in memory, for one session."""

    def __init__(self, most: int = MESSAGES_PER_SESSION) -> None:
        self._next = 0
        self._most = most
        self._lock = threading.Lock()

    def take(self) -> int:
        """See `Numbers`."""
        with self._lock:
            number = self._next
            if number >= self._most:
                raise NoncesExhausted(f"the session has sealed its {self._most} messages")
            self._next = number + 1
            return number


class BlockStore(Protocol):
    """Gives out blocks of numbers durably; `storage.NonceBlocks` is one."""

    async def reserve(self, key_id: str, count: int) -> int:
        """Set `count` numbers of `key_id` aside for ever and return the first of them.

        They are on disk as given out when this returns; no caller, process or later start gets one of them again.
        """


class StrictNumbers:
    """Takes its numbers from a store, block by block; one for all sessions of a data key in this process."""

    def __init__(
        self,
        store: BlockStore,
        key_id: str,
        *,
        block_count: int = BLOCK_COUNT,
        most: int = MESSAGES_PER_KEY,
    ) -> None:
        self._store = store
        self._key_id = key_id
        self._block_count = block_count
        self._most = most
        self._lock = threading.Lock()
        self._blocks: deque[tuple[int, int]] = deque()
        self._seen_end = 0
        self._mark = process_mark()

    @property
    def at_hand_count(self) -> int:
        """How many numbers can be taken without asking the store."""
        with self._lock:
            self._forget_after_fork()
            return sum(end - start for start, end in self._blocks)

    async def prepare(self, count: int = 1) -> None:
        """Have at least `count` numbers at hand, asking the store where they are too few.

        Raises:
            NoncesExhausted: The key has given out all of its numbers; promote another one.
            NonceReused: The store gave numbers that this process has had already: it was wound back.
        """
        while (missing := count - self.at_hand_count) > 0:
            asked = max(missing, self._block_count)
            self._keep(await self._store.reserve(self._key_id, asked), asked)

    def take(self) -> int:
        """See `Numbers`; `prepare` puts more at hand."""
        with self._lock:
            self._forget_after_fork()
            if not self._blocks:
                raise NoncesExhausted("no number is at hand; await `prepare` before sealing in strict mode")
            start, end = self._blocks.popleft()
            if start + 1 < end:
                self._blocks.appendleft((start + 1, end))
            return start

    def _keep(self, start: int, count: int) -> None:
        end = start + count
        with self._lock:
            if start < self._seen_end:
                raise NonceReused(
                    f"the store gave the number {start} of {self._key_id}, and {self._seen_end - 1} was given before"
                )
            if end > self._most:
                raise NoncesExhausted(f"the key {self._key_id} has given out its {self._most} numbers")
            self._seen_end = end
            self._blocks.append((start, end))

    def _forget_after_fork(self) -> None:
        if self._mark != process_mark():
            self._mark = process_mark()
            self._blocks.clear()


class ReplayGuard:
    """Remembers what was opened; it lives in memory, so it guards a channel for as long as the object lives.

    For each session it knows the newest `window_count` numbers; an older one is refused too. Of a session beyond
    `max_sessions_count` every message is refused: forgetting an old one would let its messages in again.
    """

    def __init__(self, *, window_count: int = 1_024, max_sessions_count: int = 1_024) -> None:
        self._window_count = window_count
        self._max_sessions_count = max_sessions_count
        self._newest: dict[bytes, int] = {}
        self._seen: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def note(self, session: bytes, number: int) -> None:
        """Take note that this message was opened; call it when the message proved genuine, before it is used.

        Raises:
            ReplayRefused: It was opened before, or it is too old to tell.
        """
        with self._lock:
            newest = self._newest.get(session)
            if newest is None:
                if len(self._newest) >= self._max_sessions_count:
                    raise ReplayRefused(
                        f"messages of {self._max_sessions_count} sessions were opened already"
                    )
                self._newest[session], self._seen[session] = number, 1
                return
            seen = self._seen[session]  # bit i: the number `newest - i` was opened
            if number > newest:
                shift = min(number - newest, self._window_count)
                kept = (seen << shift) & ((1 << self._window_count) - 1)
                self._newest[session], self._seen[session] = number, kept | 1
                return
            age = newest - number
            if age >= self._window_count or seen >> age & 1:
                raise ReplayRefused("the message was opened before, or is too old to tell")
            self._seen[session] = seen | 1 << age
