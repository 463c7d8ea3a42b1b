"""Known answers: NIST CAVP for AES-GCM, RFC 8032, RFC 7914, RFC 9106, RFC 6070, C2SP; from `cryptography-vectors`.

Left out is what our functions have no parameter for: tags shorter than 128 bits, Ed448 with a context, Argon2id with a
secret or associated data. `Head.nonce` gives AES-GCM 96 bits, but vectors with other lengths run as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import TYPE_CHECKING

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.keys.errors import DecryptError
from workers.keys.secrets import Secret
from workers.keys.signing import Signature, SigningKey, is_genuine
from workers.services.crypto.derivation import Argon2id, Pbkdf2, Scrypt, derived, pbkdf2
from workers.services.crypto.digests import Digest, digest
from workers.services.crypto.streams import Opener, Sealer

if TYPE_CHECKING:
    from collections.abc import Iterator


def blocks(name: str) -> Iterator[dict[str, str]]:
    """Yield the vectors of a file in NIST's style, with what their section says."""
    section: dict[str, str] = {}
    vector: dict[str, str] = {}
    with cryptography_vectors.open_vector_file(name, "r") as file:
        for line in map(str.strip, file):
            if line.startswith("["):
                key, _, value = line.strip("[]").partition(" = ")
                section[key] = value
            elif line.lower().startswith("count"):
                if vector:
                    yield vector
                vector = dict(section)
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                vector[key.strip()] = value.strip()
    yield vector


def raw(vector: dict[str, str], name: str) -> bytes:
    return bytes.fromhex(vector[name])


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_aes_gcm_encrypts_as_nist_says(bits: int) -> None:
    tried = 0
    for vector in blocks(f"ciphers/AES/GCM/gcmEncryptExtIV{bits}.rsp"):
        iv = raw(vector, "IV")
        if vector["Taglen"] != "128" or not 8 <= len(iv) <= 128:
            continue
        out = bytearray(len(raw(vector, "PT")) + 16)
        AESGCM(raw(vector, "Key")).encrypt_into(iv, raw(vector, "PT"), raw(vector, "AAD"), out)
        assert out == raw(vector, "CT") + raw(vector, "Tag"), vector
        tried += 1
    assert tried > 700


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_aes_gcm_decrypts_as_nist_says_and_refuses_what_it_should(bits: int) -> None:
    opened = refused = 0
    for vector in blocks(f"ciphers/AES/GCM/gcmDecrypt{bits}.rsp"):
        iv = raw(vector, "IV")
        if vector["Taglen"] != "128" or not 8 <= len(iv) <= 128:
            continue
        sealed = raw(vector, "CT") + raw(vector, "Tag")
        out = bytearray(len(sealed) - 16)
        cipher = AESGCM(raw(vector, "Key"))
        if "FAIL" in vector:
            with pytest.raises(InvalidTag):
                cipher.decrypt_into(iv, sealed, raw(vector, "AAD"), out)
            refused += 1
        else:
            cipher.decrypt_into(iv, sealed, raw(vector, "AAD"), out)
            assert out == raw(vector, "PT"), vector
            opened += 1
    assert opened > 300
    assert refused > 300


def signatures() -> Iterator[tuple[Signature, bytes, bytes, bytes, bytes]]:
    for vector in blocks("asymmetric/Ed448/rfc8032.txt"):
        if "CONTEXT" not in vector:
            yield "ed448", *(raw(vector, name) for name in ("SECRET", "PUBLIC", "MESSAGE", "SIGNATURE"))  # type: ignore[misc]  # four of them
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as file:
        for line in list(file)[:200]:
            secret, public, message, signed = (bytes.fromhex(each) for each in line.split(":")[:4])
            yield "ed25519", secret[:32], public, message, signed[:64]


def test_signatures_are_those_of_rfc_8032() -> None:
    tried = {"ed448": 0, "ed25519": 0}
    for algorithm, secret, public, message, signature in signatures():
        key = SigningKey(algorithm, Secret(secret))
        assert key.public == public
        assert key.sign(message) == signature
        assert is_genuine(algorithm, public, signature, message)
        assert not is_genuine(algorithm, public, signature, message + b"x")
        tried[algorithm] += 1
    assert tried == {"ed448": 8, "ed25519": 200}


def test_scrypt_is_that_of_rfc_7914() -> None:
    tried = 0
    for vector in blocks("KDF/scrypt.txt"):
        if int(vector["N"]) > 1 << 16:
            continue  # a gibibyte of memory
        how = Scrypt(
            salt=vector["SALT"].encode(),
            cost=int(vector["N"]),
            block=int(vector["r"]),
            lanes=int(vector["p"]),
        )
        key = derived(how, vector["PASSWORD"].encode(), int(vector["LENGTH"]))
        assert key == Secret(raw(vector, "DERIVED_KEY"))
        tried += 1
    assert tried == 3


def test_argon2id_is_that_of_rfc_9106() -> None:
    tried = 0
    for vector in blocks("KDF/argon2id.txt"):
        if vector.get("secret") or vector.get("ad"):
            continue
        how = Argon2id(
            salt=raw(vector, "salt"),
            memory_kib=int(vector["memcost"]),
            passes=int(vector["iter"]),
            lanes=int(vector["lanes"]),
        )
        assert derived(how, raw(vector, "pass"), int(vector["length"])) == Secret(raw(vector, "output"))
        tried += 1
    assert tried >= 3


def test_pbkdf2_with_sha_1_is_that_of_rfc_6070() -> None:
    tried = 0
    for vector in blocks("KDF/rfc-6070-PBKDF2-SHA1.txt"):
        if int(vector["ITERATIONS"]) > 1_000_000:
            continue  # some seconds
        passphrase, salt = (vector[name].replace("\\0", "\0").encode() for name in ("PASSWORD", "SALT"))
        key = pbkdf2(passphrase, salt, int(vector["ITERATIONS"]), int(vector["LENGTH"]), SHA1())  # noqa: S303 - the RFC's
        assert key == Secret(raw(vector, "DERIVED_KEY"))
        tried += 1
    assert tried >= 4


@settings(max_examples=60, deadline=None)
@given(
    passphrase=st.binary(max_size=100),
    salt=st.binary(min_size=8, max_size=40),
    rounds=st.integers(1, 50),
    length=st.integers(16, 100),
)
def test_pbkdf2_is_that_of_the_standard_library(
    passphrase: bytes, salt: bytes, rounds: int, length: int
) -> None:
    expected = hashlib.pbkdf2_hmac("sha256", passphrase, salt, rounds, length)
    assert derived(Pbkdf2(salt=salt, rounds=rounds), passphrase, length) == Secret(expected)


def test_pbkdf2_with_sha_256_is_that_of_rfc_7914() -> None:
    """Its section 11 has these two."""
    first = derived(Pbkdf2(salt=b"salt", rounds=1), b"passwd", 64)
    assert (
        bytes(first.buffer)
        .hex()
        .startswith("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")
    )
    second = derived(Pbkdf2(salt=b"NaCl", rounds=80_000), b"Password", 64)
    assert (
        bytes(second.buffer)
        .hex()
        .startswith("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56")
    )


def read_by_the_specification(key: bytes, context: bytes, sealed: bytes, hashed: HashAlgorithm) -> bytes:
    """Read a stream as C2SP's chunked-encryption says, chunk by chunk; the hash is what its instances differ in.

    Raises:
        InvalidTag: It does not open.
    """
    salt, commitment, rest = sealed[:24], sealed[24:56], sealed[56:]
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    made = HKDFExpand(hashed, 76, info).derive(key)
    if len(commitment) < 32 or commitment != made[44:]:
        raise InvalidTag
    body, number = b"", 0
    while True:
        chunk, rest = rest[: 16_384 + 16], rest[16_384 + 16 :]
        nonce = (int.from_bytes(made[32:44], "big") ^ number).to_bytes(12, "big")
        body += AESGCM(made[:32]).decrypt(nonce, chunk, None)
        number += 1
        if len(chunk) < 16_384 + 16:
            if rest:
                raise InvalidTag
            return body


def test_the_reader_of_these_tests_reads_streams_as_c2sp_says() -> None:
    """Its vectors hash with SHA-256; Cobblestone-256, named later, is the same with SHA-512."""
    with cryptography_vectors.open_vector_file("chunked-encryption/vectors.json", "r") as file:
        vectors = [each for each in json.load(file)["vectors"] if each["aead"] == "AEAD_AES_256_GCM"]
    opened = refused = 0
    for vector in vectors:
        key, sealed = bytes.fromhex(vector["key"]), base64.b64decode(vector["ciphertext"] or "")
        if vector.get("compressed"):
            sealed = zlib.decompress(sealed)
        context = vector["context"].encode()
        if len(key) != 32:
            with pytest.raises(ValueError, match="key"):
                Opener(key, context)
        elif vector["expect"] == "success":
            body = read_by_the_specification(key, context, sealed, SHA256())
            assert hashlib.sha256(body).hexdigest() == vector["payload_sha256"]
            opened += 1
        else:
            with pytest.raises(InvalidTag):
                read_by_the_specification(key, context, sealed, SHA256())
            refused += 1
    assert (opened, refused) == (9, 23)


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 32_768, 100_000])
def test_our_streams_are_read_as_c2sp_says_and_ours_as_well(length: int) -> None:
    body, key = bytes(range(256)) * (length // 256) + bytes(length % 256), bytes(range(32))
    sealer, opener = Sealer(key, b"context"), Opener(key, b"context")
    sealed = bytes(sealer.turn(body)) + sealer.finish()
    assert read_by_the_specification(key, b"context", sealed, SHA512()) == body
    assert bytes(opener.turn(sealed)) + opener.finish() == body


def test_a_stream_cut_anywhere_does_not_open() -> None:
    sealer = Sealer(bytes(32), b"")
    sealed = bytes(sealer.turn(bytes(20_000))) + sealer.finish()
    for length in [*range(0, len(sealed), 997), 16_384 + 16 + 56, len(sealed) - 1]:
        opener = Opener(bytes(32), b"")
        with pytest.raises(DecryptError):
            b"".join((opener.turn(sealed[:length]), opener.finish()))


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=40_000), context=st.binary(max_size=20), cut=st.integers(1, 20_000))
def test_a_stream_opens_again_however_it_is_cut(body: bytes, context: bytes, cut: int) -> None:
    sealer, opener = Sealer(bytes(32), context), Opener(bytes(32), context)
    sealed = b"".join(
        [bytes(sealer.turn(body[at : at + cut])) for at in range(0, len(body), cut)] + [sealer.finish()]
    )
    pieces = [bytes(opener.turn(sealed[at : at + cut])) for at in range(0, len(sealed), cut)]
    assert b"".join([*pieces, opener.finish()]) == body


@pytest.mark.parametrize(
    ("algorithm", "of_nothing", "of_abc"),
    [
        ("sha256", "e3b0c44298fc1c14", "ba7816bf8f01cfea"),
        ("sha512", "cf83e1357eefb8bd", "ddaf35a193617aba"),
        ("blake3", "af1349b9f5f9a1a6", "6437b3ac38465133"),
    ],
)
def test_digests_are_those_of_their_authors(algorithm: Digest, of_nothing: str, of_abc: str) -> None:
    assert digest(b"", algorithm).hex().startswith(of_nothing)
    assert digest(b"abc", algorithm).hex().startswith(of_abc)
    assert digest(memoryview(bytearray(b"abc")), algorithm).hex().startswith(of_abc)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake3"])
def test_a_digest_in_slices_is_the_digest_of_the_whole(algorithm: Digest) -> None:
    import blake3  # noqa: PLC0415 - beside hashlib

    whole = bytes(range(256)) * 4096 * 3 + b"end"
    new = blake3.blake3 if algorithm == "blake3" else getattr(hashlib, algorithm)
    assert digest(whole, algorithm) == new(whole).digest()
