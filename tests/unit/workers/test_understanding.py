from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.frames import FrameBuffer, FrameError, frame
from workers.protocol import Cancel, Failure, Ping, Recalled, Response, from_worker_decoder, to_worker_decoder
from workers.understanding import calls_of, messages_of, replies_of

anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(), st.binary()
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


def batch(*messages: Any) -> memoryview:
    return memoryview(frame([msgspec.msgpack.encode(each) for each in messages]))[4:]


def ignored(_: str) -> None:
    """Take a refusal."""


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_break_either_side(data: bytes) -> None:
    payload = memoryview(data)
    calls, failures = calls_of(payload, ignored)
    replies = replies_of(payload, ignored)
    messages: list[Any] = [
        *messages_of(payload, to_worker_decoder, ignored),
        *messages_of(payload, from_worker_decoder, ignored),
    ]
    assert all(hasattr(each, "seq") for each in [*calls, *failures, *replies])
    assert all(isinstance(each, msgspec.Struct) for each in messages)


@settings(max_examples=60)
@given(st.lists(anything, max_size=5))
def test_well_formed_nonsense_breaks_neither_side(values: list[Any]) -> None:
    payload = batch(*values)
    calls_of(payload, ignored)
    for reply in replies_of(payload, ignored):
        assert 0 <= reply.run_us <= 2**38


@settings(max_examples=60)
@given(st.lists(anything, max_size=4), st.lists(anything, max_size=4))
def test_what_is_understood_is_taken_whatever_its_neighbours_are(before: list[Any], after: list[Any]) -> None:
    payload = batch(*before, Response(2**62, 7, "mine"), *after)
    assert Response(2**62, 7, "mine") in replies_of(payload, ignored)
    calls, _ = calls_of(batch(*before, [2**62, "echo", None, 1.5], *after), ignored)
    assert [2**62, "echo", None, 1.5] in [
        [each.seq, each.method, each.params, each.deadline] for each in calls
    ]
    control = batch(*before, Cancel(2**62), Ping(), *after)
    assert Cancel(2**62) in messages_of(control, to_worker_decoder, ignored)


def test_a_malformed_call_or_answer_fails_the_call_it_was_about() -> None:
    refused: list[str] = []
    calls, failures = calls_of(
        batch([3, "echo", None], [4, 5, None, 0.0], [6, "echo", 1, 0.0]), refused.append
    )
    assert [each.seq for each in calls] == [3, 6]
    assert [each.seq for each in failures] == [4]
    replies = replies_of(batch([0, 3, -1, "x"], [99, 4, 1, "x"], [0, 5, 1, "y"], "?"), refused.append)
    assert [(each.seq, isinstance(each, Failure)) for each in replies] == [(3, True), (4, True), (5, False)]
    assert len(refused) == 2


def test_a_message_of_a_later_version_is_passed_over() -> None:
    payload = batch([77, "new"], Recalled([1]), [22, [2], "and more"])
    assert messages_of(payload, from_worker_decoder, ignored)[0] == Recalled([1])


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=64), max_size=20))
def test_no_bytes_at_all_break_the_frames_but_by_their_own_error(pieces: list[bytes]) -> None:
    buffer = FrameBuffer()
    try:
        for piece in pieces:
            room = buffer.writable()
            room[: len(piece)] = piece
            buffer.filled(len(piece))
            for payload in buffer.frames():
                assert len(payload) <= 64 * 20
    except FrameError:
        pass
