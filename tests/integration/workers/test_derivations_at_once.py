"""Several derivations of one process at the same time, which OpenSSL's own threads do not survive."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from workers import Hardening, PassphraseKeySource
from workers.services.crypto.derivation import Argon2id, derived


def test_derivations_of_several_lanes_in_threads_of_one_process_all_end_alike() -> None:
    how = Argon2id(salt=b"saltsalt", memory_kib=256, passes=1, lanes=4)

    def key(_: int) -> bytes:
        with derived(how, b"passphrase", 32) as secret:
            return bytes(secret.buffer)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(key, range(40), timeout=30))

    assert len(set(found)) == 1


def test_a_passphrase_is_made_a_key_by_several_threads_at_once_and_beside_derivations() -> None:
    source, salt = PassphraseKeySource("passphrase"), b"saltsaltsaltsalt"
    hardening = Hardening(salt=salt, memory_kib=256, passes=1, lanes=4)
    how = Argon2id(salt=salt, memory_kib=256, passes=1, lanes=4)

    def key(number: int) -> bytes:
        with source.key(hardening) if number % 2 else derived(how, b"passphrase", 32) as secret:
            return bytes(secret.buffer)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(key, range(40), timeout=30))

    assert len(set(found)) == 1
