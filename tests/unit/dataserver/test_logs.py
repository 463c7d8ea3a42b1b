"""What leaves the process as a log line, and what must not."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog

from dataserver import logs
from dataserver.server_settings import LogSettings

TOKEN = "dst_" + "A" * 43


def lines_of(settings: LogSettings, write: Any) -> list[str]:
    out = io.StringIO()
    logs.configure(settings, stream=out)
    write()
    return out.getvalue().splitlines()


def test_an_event_is_one_line_of_json_when_nobody_watches() -> None:
    log = structlog.get_logger("test")
    [line] = lines_of(LogSettings(), lambda: log.info("server.started", port=1, name="\u65e5\u672c"))
    event = json.loads(line)
    assert (event["event"], event["level"], event["port"], event["name"]) == (
        "server.started",
        "info",
        1,
        "\u65e5\u672c",
    )
    assert "timestamp" in event


def test_events_below_the_level_are_not_written() -> None:
    log = structlog.get_logger("test")
    assert lines_of(LogSettings(level="warning"), lambda: log.info("quiet")) == []
    assert len(lines_of(LogSettings(level="debug"), lambda: log.debug("loud"))) == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"token": TOKEN},
        {"authorization": f"Bearer {TOKEN}"},
        {"innocent": f"GET / with {TOKEN}"},
        {"of_a_session": f"GET / with dsu_{'A' * 43}"},
        {"to_refresh_it": f"POST with dsr_{'A' * 65}"},
        {"of_an_invite": f"POST /v1/invites/dsi_{'A' * 32}/join"},
        {"also_innocent": f"bearer {'z' * 20}"},
        {"headers": {"Authorization": "zzzzzzzz", "x": [f"{TOKEN}"]}},
        {"user_password": "zzzzzzzz"},
        {"event": f"a message with {TOKEN}"},
    ],
    ids=lambda facts: next(iter(facts)),
)
@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_cut_out_wherever_it_stands(facts: dict[str, Any], form: Any) -> None:
    event = facts.pop("event", "something.happened")
    log = structlog.get_logger("test")
    [line] = lines_of(LogSettings(format=form), lambda: log.info(event, **facts))
    facts.setdefault("event", event)
    assert "AAAA" not in line
    assert "zzzz" not in line
    assert logs.REDACTED in line


def test_what_only_sounds_secret_stays() -> None:
    log = structlog.get_logger("test")
    [line] = lines_of(LogSettings(), lambda: log.info("token.created", token_count=5))
    assert json.loads(line)["token_count"] == 5


def test_a_long_text_is_cut() -> None:
    log = structlog.get_logger("test")
    [line] = lines_of(LogSettings(), lambda: log.info("x", text="y" * 100_000))
    assert len(line) < 5_000
    assert "100000 characters" in line


def test_the_standard_librarys_logging_goes_the_same_way() -> None:
    [line] = lines_of(
        LogSettings(), lambda: logging.getLogger("uvicorn.error").warning("Bearer %s", "z" * 20)
    )
    event = json.loads(line)
    assert (event["level"], event["logger"]) == ("warning", "uvicorn.error")
    assert "zzzz" not in line


def test_a_traceback_is_in_the_event_it_belongs_to() -> None:
    log = structlog.get_logger("test")

    def fail() -> None:
        try:
            int("the cause")
        except ValueError:
            log.exception("it.failed")

    [line] = lines_of(LogSettings(), fail)
    assert "the cause" in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_in_the_text_of_an_exception_is_cut_out(form: Any) -> None:
    log = structlog.get_logger("test")

    def fail() -> None:
        try:
            int(f"what came with {TOKEN}")
        except ValueError:
            log.exception("it.failed")

    text = "\n".join(lines_of(LogSettings(format=form), fail))
    assert "what came with" in text
    assert "AAAA" not in text
