"""The chat from end to end: clients of their own, bad networks, a server that is killed; small runs of `tests.crash.chat_log`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

_LIMIT_S = 380


def counts_of(*arguments: str) -> dict[str, int]:
    """Run it, see that nothing is wrong, and return what it has counted."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tests.crash.chat_log", *arguments],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.stdout.endswith("\nclean\n"), done.stdout + done.stderr
    return {
        what.strip(): int(count.replace(",", ""))
        for what, count in re.findall(r"^(.+?) +([0-9,]+)$", done.stdout, re.MULTILINE)
    }


@pytest.mark.timeout(400)
def test_the_rooms_are_the_log_whatever_the_network_and_the_server_do() -> None:
    counts = counts_of("--lines", "600", "--clients", "10", "--kills", "2", "--seed", "3")
    assert (counts["messages in the rooms"], counts["server killed"]) == (600, 2)
    assert min(counts[flaw] for flaw in ("cuts", "delays", "replays")) > 0


@pytest.mark.timeout(400)
def test_what_is_done_offline_by_a_client_that_is_killed_takes_effect_once() -> None:
    counts = counts_of("--actions", "--seed", "1")
    assert counts["message.created"] == counts["member.kicked"] == 1
