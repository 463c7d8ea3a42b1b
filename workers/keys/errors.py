"""What can go wrong with keys, and the one error for data that does not open.

KeysError
├── KeySourceRefused     the key-encryption key can't be had from where it should come from
├── KeyringDamaged       the stored keyring was made with another key-encryption key, or somebody changed it
├── KeyringBusy          another process is changing the keyring; nothing was done, try again
├── KeyNotUsable         no such key, or its state does not allow this; `key_id` and `state`
├── NoncesExhausted      a key has sealed as many messages as it may; promote a new one
├── NonceReused          a block store gave numbers out twice; promote a new key before sealing on
├── MessageTooLarge      more bytes than one message of AES-GCM may have; encrypt them as a stream
└── ReplayRefused        the message was opened before, or is too old to tell
DecryptError             wrong key, wrong context or damaged data: which one is not told
"""

from __future__ import annotations

from typing import Any

from workers.errors import PortableError

_DOES_NOT_OPEN = "the data does not open with this key and context"


class KeysError(Exception):
    """The root of what keys and keyrings raise; no text of theirs holds a key or a part of one."""


class KeySourceRefused(KeysError):
    """The key-encryption key can't be had; the text says why and what is asked for."""


class KeyringDamaged(KeysError):
    """The stored keyring does not open: another key-encryption key, or somebody changed it; restore a copy of it."""


class KeyringBusy(KeysError):
    """Another process or thread is changing the stored keyring; nothing was done, call again."""


class KeyNotUsable(KeysError):
    """The key `key_id` is in a state (None: it is not there) that does not allow what was asked."""

    def __init__(self, message: str, *, key_id: str, state: str | None) -> None:
        super().__init__(message)
        self.key_id = key_id
        self.state = state


class NoncesExhausted(KeysError):
    """No number is left to seal with; in strict mode `prepare` gets more, unless the key has given out all."""


class NonceReused(KeysError):
    """A block store gave a number again that it had given out; nothing was sealed with it. Promote a new key."""


class MessageTooLarge(KeysError):
    """One message of AES-GCM holds at most `MAX_MESSAGE_BYTES`; encrypt a stream or a file instead."""


class ReplayRefused(KeysError):
    """The message was opened before, or is older than what is remembered; it was not given to the caller."""


class DecryptError(PortableError):
    """The data does not open: the key or the context is another one, or somebody changed it.

    There is one error with one text for all of these, so that an answer does not help whoever tries.
    """

    def __init__(self, message: str = _DOES_NOT_OPEN, **details: Any) -> None:
        super().__init__(message, **details)
