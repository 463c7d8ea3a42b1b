"""While C code encrypts, hashes or derives, other threads run: what the bridge's threads rely on, and nobody documents."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.keys.envelopes import Head
from workers.keys.signing import SigningKey
from workers.methods import Task
from workers.services.crypto.derivation import Argon2id, Pbkdf2, Scrypt, derived
from workers.services.crypto.digests import digest
from workers.services.crypto.messages import open_into, opened_length, seal_into, sealed_length

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = bytes(16 * 1024 * 1024)
HEAD = Head("message", "00" * 8, bytes(24))
CIPHER = AESGCM(bytes(range(32)))
SALT = b"saltsalt"
_TRIES_COUNT = 40


def sealed() -> memoryview:
    out = Task().allocate(sealed_length(len(DATA))).view
    seal_into(out, CIPHER, HEAD, DATA, b"")
    return out


SEALED = sealed()


def opened() -> None:
    open_into(Task().allocate(opened_length(len(SEALED))).view, CIPHER, SEALED, b"")


@pytest.mark.parametrize(
    "work",
    [
        sealed,
        opened,
        lambda: digest(DATA, "sha256"),
        lambda: digest(DATA, "blake3"),
        lambda: derived(Pbkdf2(salt=SALT, rounds=100_000), b"passphrase", 32),
        lambda: derived(Scrypt(salt=SALT, cost=1 << 13), b"passphrase", 32),
        lambda: derived(Argon2id(salt=SALT, memory_kib=8_192, lanes=1), b"passphrase", 32),
        lambda: SigningKey.generate("ed448").sign(DATA[: 1 << 20]),
    ],
    ids=["seal", "open", "sha256", "blake3", "pbkdf2", "scrypt", "argon2id", "sign"],
)
def test_other_threads_run_meanwhile(work: Callable[[], object]) -> None:
    """Held, the interpreter stops this thread for the whole of the work; on a busy machine something else may, too."""
    assert any(longest_stop(work) < 0.3 for _ in range(_TRIES_COUNT))


def longest_stop(work: Callable[[], object]) -> float:
    """Return for how much of the time of `work`, done by another thread, this one stood still at a stretch."""
    span: list[float] = []

    def run() -> None:
        span.append(time.perf_counter())
        work()
        span.append(time.perf_counter())

    thread = threading.Thread(target=run)
    longest_s, last = 0.0, time.perf_counter()
    thread.start()
    while len(span) < 2:
        now = time.perf_counter()
        longest_s, last = max(longest_s, now - last), now
    thread.join()
    return longest_s / (span[1] - span[0])
