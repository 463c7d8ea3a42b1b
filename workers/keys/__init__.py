"""Keys: a keyring of wrapped data keys, messages that are sealed with them, and numbers that are never used twice.

    sources      where the key-encryption key comes from: file, environment, passphrase, the system's keyring
    documents    the stored keyring: data keys wrapped by that key, and a code over all of it
    rotation     what state a key is in and may come into: added, primary, superseded, retired, destroyed
    keyring      the keyring in memory: seals with the primary key, opens with any that is not retired
    envelopes    the form of what is sealed; nonces, its numbers; secrets, buffers that are wiped

The names are had from the root: `from workers import Keyring`.
"""

from __future__ import annotations
