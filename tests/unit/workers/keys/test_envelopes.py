"""What is sealed opens with its key, in its place, unchanged; and in no other case."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.keys import keyring
from workers.keys import envelopes
from workers.keys.envelopes import MESSAGE_HEAD_BYTES, TAG_BYTES, Head, row_context
from workers.keys.errors import DecryptError, MessageTooLarge

RING = keyring()
OTHER = keyring()
CONTEXT = row_context("messages", "body", 7)

Part = st.one_of(st.text(max_size=8), st.binary(max_size=8), st.integers())


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=4_096), context=st.binary(max_size=64))
def test_what_is_sealed_opens_again(body: bytes, context: bytes) -> None:
    key_id, sealed = RING.seal(body, context)
    assert RING.open(key_id, sealed, context) == body
    assert RING.open(None, sealed, context) == body


def test_a_message_is_59_bytes_longer_than_its_body() -> None:
    assert len(RING.seal(b"body")[1]) == len(b"body") + MESSAGE_HEAD_BYTES + TAG_BYTES == 4 + 59


def test_the_same_body_is_never_sealed_alike() -> None:
    assert len({RING.seal(b"body", CONTEXT)[1] for _ in range(100)}) == 100


@pytest.mark.parametrize("place", range(len(RING.seal(b"body", CONTEXT)[1])))
def test_a_message_with_any_byte_changed_does_not_open(place: int) -> None:
    sealed = bytearray(RING.seal(b"body", CONTEXT)[1])
    sealed[place] ^= 0x01
    with pytest.raises(DecryptError):
        RING.open(None, sealed, CONTEXT)


def test_a_message_cut_anywhere_does_not_open() -> None:
    sealed = RING.seal(b"body", CONTEXT)[1]
    for length in range(len(sealed)):
        with pytest.raises(DecryptError):
            RING.open(None, sealed[:length], CONTEXT)


@settings(max_examples=100, deadline=None)
@given(garbage=st.binary(max_size=300))
def test_garbage_does_not_open_and_does_nothing_else(garbage: bytes) -> None:
    for data in (garbage, b"WK\x01" + garbage, b"WK\x02" + garbage):
        with pytest.raises(DecryptError):
            RING.open(None, data)


def test_wrong_key_wrong_context_and_damage_are_one_and_the_same_error() -> None:
    key_id, sealed = RING.seal(b"body", CONTEXT)
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    told = []
    for ring, data, context in (
        (OTHER, sealed, CONTEXT),
        (RING, sealed, b"other"),
        (RING, damaged, CONTEXT),
        (RING, b"", CONTEXT),
        (RING, b"XX" + sealed[2:], CONTEXT),
    ):
        with pytest.raises(DecryptError) as caught:
            ring.open(None, data, context)
        error = caught.value
        told.append((type(error), str(error), error.details, error.__cause__, error.__suppress_context__))
    assert len({repr(each[:4]) for each in told}) == 1
    with pytest.raises(DecryptError):
        RING.open("0" * 16, sealed, CONTEXT)
    assert RING.open(key_id, sealed, CONTEXT) == b"body"


def test_a_stream_is_no_message() -> None:
    stream = RING.ticket("stream").head.packed
    with pytest.raises(DecryptError):
        RING.open(None, stream + bytes(200))


@settings(max_examples=100, deadline=None)
@given(one=st.lists(Part, max_size=4), other=st.lists(Part, max_size=4))
def test_two_rows_never_have_one_context(
    one: list[str | bytes | int], other: list[str | bytes | int]
) -> None:
    same = [(type(each), each) for each in one] == [(type(each), each) for each in other]
    assert (row_context(*one) == row_context(*other)) is same


def test_a_head_reads_as_it_was_written() -> None:
    for head in (
        Head("message", "00" * 7 + "ff", bytes(range(24)), 2**64 - 1),
        Head("stream", "ab" * 8, bytes(24)),
    ):
        assert Head.of(head.packed + bytes(TAG_BYTES)) == head


def test_each_session_and_each_kind_has_a_key_of_its_own() -> None:
    message, stream = RING.ticket("message"), RING.ticket("stream")
    same_salt = RING.opening_ticket(Head("stream", message.head.key_id, message.head.session))
    keys = [bytes(each.key.buffer) for each in (message, stream, same_salt, RING.ticket("message"))]
    assert len(set(keys)) == 4


def test_more_than_a_message_holds_is_refused_before_anything_is_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(envelopes, "MAX_MESSAGE_BYTES", 10)
    with pytest.raises(MessageTooLarge, match="at most 10"):
        RING.seal(bytes(11))
    assert RING.open(None, RING.seal(bytes(10))[1]) == bytes(10)


def test_more_sessions_than_are_kept_at_hand_open_all_the_same() -> None:
    reader, writers = keyring(), list[bytes]()
    for number in range(300):
        ticket = reader.ticket("message")
        with ticket.key as key:
            cipher = AESGCM(key.buffer)
        writers.append(envelopes.sealed_with(cipher, ticket.head, b"%d" % number, b""))
    for _ in range(2):
        assert [reader.open(None, each) for each in writers] == [b"%d" % number for number in range(300)]
    assert len(reader._sealer._ciphers) == 256
