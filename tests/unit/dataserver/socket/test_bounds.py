"""What a connection may hold: bytes that wait, commands under way, numbers that make sense; and its frames."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from dataserver.refusals import InvalidBody
from dataserver.socket import ops
from dataserver.socket.changes import is_alone
from dataserver.socket.credit import Credit
from dataserver.socket.frames import Frame, event_frame
from dataserver.socket.limits import SocketLimits
from dataserver.socket.outbox import Outbox


@given(st.lists(st.one_of(st.integers(1, 400), st.none()), max_size=60), st.integers(1, 1_000))
def test_frames_leave_in_their_order_and_never_wait_past_the_bound(
    steps: list[int | None], most: int
) -> None:
    outbox = Outbox(most)
    put: list[Frame] = []
    taken: list[Frame] = []
    for step in steps:
        if step is None:
            batch = outbox.take(300)
            assert len(batch) <= 1 or sum(each.size for each in batch) <= 300
            taken += batch
        else:
            frame = Frame(b"x" * step)
            expected = not len(outbox) or outbox.waiting_bytes + frame.size <= most
            assert outbox.put(frame) is expected
            put += [frame] if expected else []
        assert outbox.waiting_bytes <= max(most, 404)
        assert outbox.waiting_bytes == sum(each.size for each in put[len(taken) :])
    while batch := outbox.take(300):
        taken += batch
    assert taken == put


def test_a_frame_that_does_not_fit_is_refused() -> None:
    outbox = Outbox(100)
    assert outbox.put(Frame(b"x" * 60))
    assert not outbox.put(Frame(b"x" * 60))
    assert len(outbox) == 1


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_a_frame_is_on_the_wire_what_the_protocol_says(length: int) -> None:
    payload = b"x" * length
    assert Frame(payload).wire == WireFrame(Opcode.TEXT, payload).serialize(mask=False)


def test_an_event_is_told_as_it_was_made() -> None:
    frame = event_frame('{"seq":1,"text":"é"}', 5)
    assert (json.loads(frame.payload), frame.position) == ({"event": {"seq": 1, "text": "é"}}, 5)


@given(st.lists(st.sampled_from(["send", "change", "end"]), max_size=100), st.integers(1, 5))
def test_sends_run_together_and_every_other_change_alone(steps: list[str], most: int) -> None:
    credit = Credit(most)
    running: list[str] = []
    for step in steps:
        if step == "end":
            if running:
                running.pop()
                credit.end()
        elif credit.may_begin(alone=step == "change"):
            credit.begin(alone=step == "change")
            running.append(step)
        assert len(running) == credit.in_flight_count <= most
        assert "change" not in running or running == ["change"]


@pytest.mark.parametrize(
    ("command", "alone"),
    [
        ({"op": "send", "room": "1", "client_id": "a", "content": ""}, False),
        ({"op": "send", "room": "1", "client_id": "a", "content": "", "reply_to": "7"}, False),
        ({"op": "send", "room": "1", "client_id": "a", "content": "", "reply_to": "b"}, True),
        ({"op": "pin", "message": "7", "client_id": "a"}, True),
        ({"op": "void", "room": "1", "session": "s", "dev_seq": 1}, True),
    ],
)
def test_what_may_name_an_earlier_message_waits_for_it(command: dict[str, object], alone: bool) -> None:
    change = ops.decoded(json.dumps(command))
    assert isinstance(change, ops.Change)
    assert is_alone(change) is alone


@given(st.text())
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(InvalidBody):
        ops.decoded(text)
    assert ops.number_of(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('{"id": 3, "op": "nothing"}', 3),
        ('{"id": 3, "op": "ping", "more": 1}', 3),
        ('{"id": -1, "op": "ping"}', None),
        ('{"id": true, "op": "ping"}', None),
        ('{"id": 1e3, "op": "ping"}', None),
        ('{"id": 9007199254740993, "op": "ping"}', None),
        ('["ping"]', None),
        ("[" * 100_000, None),
        ("\ud800", None),
    ],
)
def test_a_refusal_names_the_command_if_it_has_a_number(text: str, number: int | None) -> None:
    with pytest.raises(InvalidBody):
        ops.decoded(text)
    assert ops.number_of(text) == number


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_makes_no_sense_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="ping_interval_s"):
        SocketLimits(ping_interval_s=value)
