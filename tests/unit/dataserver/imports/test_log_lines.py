"""Lines of chat logs are read as they are, and events stand where they happened."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat import LogLine
from dataserver.cli.import_log import source_of
from dataserver.imports import log_lines
from dataserver.imports.log_lines import in_order, read_events, read_messages
from dataserver.imports.order import ImportRefused
from dataserver.imports.records import BadRecord

TEXT = "a\u0000b \ufeff\u3000\u200b \u0002x &lt; <@U1> \r\n"


def stream(*lines: Any) -> io.BytesIO:
    texts = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in lines)
    return io.BytesIO("".join(f"{text}\n" for text in texts).encode())


def message(number: int, room: str = "#a", **more: Any) -> dict[str, Any]:
    return {"id": number, "room": room, "author": "ada", "ts": "2004-11-15T12:18:00Z", "text": TEXT, **more}


def event(after: int | None, room: str = "#a", **more: Any) -> dict[str, Any]:
    return {
        "room": room,
        "author": "bob",
        "ts": "2004-11-15T12:19:00Z",
        "event": "join",
        "text": "",
        "after": after,
        **more,
    }


def test_a_message_is_what_its_line_says() -> None:
    (found,) = read_messages(
        stream(message(7, ts="2017-10-02T04:24:47.062999Z", reply_to=3, thread=3, annotated=True))
    )
    assert found == LogLine(number=7, room="#a", author="ada", at_ms=1_506_918_287_062, text=TEXT, answered=3)


def test_times_are_of_utc_unless_they_say_otherwise() -> None:
    found = read_messages(
        stream(message(0, ts="1970-01-01T01:00:00+01:00"), message(1, ts="1969-12-31T23:59:59"))
    )
    assert [each.at_ms for each in found if isinstance(each, LogLine)] == [0, -1_000]


@pytest.mark.parametrize(
    "line",
    [
        "nothing",
        "[]",
        {"id": 1},
        message(-1),
        message(0, room=""),
        message(0, room="x" * 101),
        message(0, author="x" * 201),
        message(0, ts="yesterday"),
        message(0, text=1),
        message(0, text="ä" * 16_385),
        event(0),
    ],
)
def test_what_is_no_message_is_complained_of_with_its_number(line: Any) -> None:
    found = list(read_messages(stream(message(0), "", line, message(1))))
    assert [type(each) for each in found] == [LogLine, BadRecord, LogLine]
    assert isinstance(found[1], BadRecord)
    assert found[1].line_number == 3


def test_the_longest_text_that_a_message_may_have_passes() -> None:
    (found,) = read_messages(stream(message(0, text="ä" * 16_384)))
    assert isinstance(found, LogLine)


def test_events_stand_behind_the_message_that_they_came_after() -> None:
    events, bad = read_events(
        stream(
            event(1, event="part", text="bye"),
            event(None, room="#b"),
            "odd",
            event(1, event="nick", text="zed"),
            event(99),
        )
    )
    merged = in_order(read_messages(stream(message(0), message(1), message(2, room="#b"))), events)
    assert [
        (each.room, each.event or each.number, each.number) for each in merged if isinstance(each, LogLine)
    ] == [
        ("#a", 0, 0),
        ("#a", 1, 1),
        ("#a", "part", 0),
        ("#a", "nick", 3),
        ("#b", "join", 1),
        ("#b", 2, 2),
        ("#a", "join", 4),
    ]
    assert [each.line_number for each in bad] == [3]
    assert events == {}


@given(
    rooms=st.lists(st.sampled_from("abc"), max_size=20),
    places=st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 25)), max_size=20),
)
def test_merging_keeps_the_order_of_messages_and_loses_nothing(
    rooms: list[str], places: list[tuple[str, int | None]]
) -> None:
    messages = list(read_messages(stream(*(message(n, room) for n, room in enumerate(rooms)))))
    events, _ = read_events(stream(*(event(after, room) for room, after in places)))
    merged = [each for each in in_order(messages, events) if isinstance(each, LogLine)]
    assert [each for each in merged if each.event is None] == messages
    assert sorted(each.number for each in merged if each.event) == list(range(len(places)))


def test_too_many_events_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "MAX_EVENT_COUNT", 2)
    with pytest.raises(ImportRefused, match="more than 2"):
        read_events(stream(event(0), event(0), event(0)))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("chat_irc.jsonl.gz", "chat_irc"),
        ("my log (2).jsonl", "my-log-2"),
        (".jsonl", "log"),
        ("ä.jsonl", "log"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_log_is_called_as_its_file(tmp_path: Any, name: str, source: str) -> None:
    assert source_of(tmp_path / name) == source
