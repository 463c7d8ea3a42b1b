"""The chat from end to end: clients of their own, bad networks, a server that is killed; small runs of `tests.crash.chat_log`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.crash.chat_log import actions, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(400)
def test_the_rooms_are_the_log_whatever_the_network_and_the_server_do(tmp_path: Path) -> None:
    sent = partial(run.run, tmp_path, line_count=600, client_count=10, kills=2, seed=3)
    verdict = anyio.run(sent)
    assert verdict.is_clean, verdict
    assert verdict.done["messages in the rooms"] == 600
    assert verdict.done["server killed"] == 2
    assert min(verdict.done[flaw] for flaw in ("cuts", "delays", "replays")) > 0


@pytest.mark.timeout(300)
def test_what_is_done_offline_by_a_client_that_is_killed_takes_effect_once(tmp_path: Path) -> None:
    verdict = anyio.run(partial(actions.run, tmp_path, seed=1))
    assert verdict.is_clean, verdict
