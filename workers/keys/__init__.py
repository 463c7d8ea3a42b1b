"""Keys: a keyring of wrapped data keys, messages that are sealed with them, and numbers that are never used twice.

    keyring        the keyring in memory: seals with the primary key, opens with any that is not retired
    sealer         data keys at work: sessions, their subkeys and ciphers
    envelopes      the form of what is sealed
    nonces         its numbers, which are never given twice, and the guard against replays
    rotation       what state a key is in and may come into: added, primary, superseded, retired, destroyed
    stored_keys    the stored keyring, changed step by step; documents is its form, keyring_file its file
    sources        where the key-encryption key comes from: file, environment, passphrase; os_keyring is a fourth
    secrets        bytes that are wiped, and how far that goes; handover gives one to a worker process
    signing        private keys, which stay in the process that owns them

The names are had from the root: `from workers import Keyring`.
"""

from __future__ import annotations
