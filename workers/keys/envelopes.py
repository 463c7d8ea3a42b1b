"""The form of what is sealed: which key, which session, which number, then what AES-256-GCM made of it.

    "WK" | kind 1 | key id 8 | session 24 | number 8 | ciphertext | tag 16          kind 1: a message
    "WK" | kind 1 | key id 8 | session 24 | a whole message of Cobblestone-256      kind 2: a stream or file

Each session has its own subkey, HKDF-SHA-512 of the data key with the session as salt; the number is the nonce. The
head is authenticated together with the context, so a message does not open in another row, under another key id or as
another kind. What is read is fixed in length and checked before a key is looked up.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.keys.errors import DecryptError, MessageTooLarge
from workers.keys.secrets import Secret

if TYPE_CHECKING:
    from typing import Final

    from cryptography.utils import Buffer

MAX_MESSAGE_BYTES: Final = (1 << 31) - 1 - 64
"""What `cryptography` takes in one call of AES-GCM is a little below 2 GiB."""
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
SESSION_BYTES: Final = 24
TAG_BYTES: Final = 16

_MAGIC = b"WK"
_MESSAGE, _STREAM = 1, 2
_PREFIX = struct.Struct(f">2sB{KEY_ID_BYTES}s{SESSION_BYTES}s")
_NUMBER = struct.Struct(">Q")
_NONCE = struct.Struct(">4xQ")
STREAM_HEAD_BYTES: Final = _PREFIX.size
MESSAGE_HEAD_BYTES: Final = _PREFIX.size + _NUMBER.size

_INFO = {_MESSAGE: b"workers.keys/1 message ", _STREAM: b"workers.keys/1 stream "}

Kind = Literal["message", "stream"]
_KINDS: dict[int, Kind] = {_MESSAGE: "message", _STREAM: "stream"}
_CODES = {kind: code for code, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a ciphertext."""

    kind: Kind
    key_id: str
    session: bytes
    number: int = 0
    """Of a message; a stream has its own."""

    @property
    def packed(self) -> bytes:
        """Its bytes."""
        prefix = _PREFIX.pack(_MAGIC, _CODES[self.kind], bytes.fromhex(self.key_id), self.session)
        return prefix + _NUMBER.pack(self.number) if self.kind == "message" else prefix

    @property
    def nonce(self) -> bytes:
        """The nonce of a message."""
        return _NONCE.pack(self.number)

    @classmethod
    def of(cls, sealed: Buffer) -> Head:
        """Return the head of `sealed`.

        Raises:
            DecryptError: It has none.
        """
        view = memoryview(sealed)
        if view.nbytes < STREAM_HEAD_BYTES:
            raise DecryptError
        magic, code, key_id, session = _PREFIX.unpack_from(view)
        if magic != _MAGIC or code not in _KINDS:
            raise DecryptError
        if code == _STREAM:
            return cls("stream", key_id.hex(), session)
        if view.nbytes < MESSAGE_HEAD_BYTES + TAG_BYTES:
            raise DecryptError
        return cls("message", key_id.hex(), session, *_NUMBER.unpack_from(view, _PREFIX.size))


def row_context(*parts: str | bytes | int) -> bytes:
    """Return a context that names a row, say by table, column and key; no two lists of parts give the same."""
    named = bytearray()
    for part in parts:
        tag, data = _named(part)
        named += struct.pack(">cI", tag, len(data)) + data
    return bytes(named)


def _named(part: str | bytes | int) -> tuple[bytes, bytes]:
    if isinstance(part, bytes):
        return b"b", part
    if isinstance(part, str):
        return b"s", part.encode()
    return b"i", str(part).encode()


def session_key(data_key: Secret, head: Head) -> Secret:
    """Return the subkey of a session; the caller wipes it."""
    info = _INFO[_CODES[head.kind]] + bytes.fromhex(head.key_id)
    subkey = Secret.of_length(KEY_BYTES)
    HKDF(SHA512(), KEY_BYTES, salt=head.session, info=info).derive_into(data_key.buffer, subkey.buffer)
    return subkey


def sealed_with(cipher: AESGCM, head: Head, body: Buffer, context: bytes) -> bytes:
    """Return the message of `head` that holds `body`.

    Raises:
        MessageTooLarge: The body is longer than a message may be.
    """
    if len(body) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"{len(body)} bytes in one message; at most {MAX_MESSAGE_BYTES} are allowed")
    packed = head.packed
    return packed + cipher.encrypt(head.nonce, body, packed + context)


def opened_with(cipher: AESGCM, head: Head, sealed: Buffer, context: bytes) -> bytes:
    """Return the body of a message.

    Raises:
        DecryptError: It does not open.
    """
    view = memoryview(sealed)
    try:
        return cipher.decrypt(head.nonce, view[MESSAGE_HEAD_BYTES:], head.packed + context)
    except InvalidTag:
        raise DecryptError from None
