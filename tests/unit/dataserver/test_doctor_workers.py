"""`dataserver doctor --workers` as a person sees it, and what it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dataserver.cli import doctor
from workers import Capabilities, SelfTest
from workers.self_testing import Outcome, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Capabilities(
    backing="lock", memory_reason="", atomics=False, threads_wake="futex", tasks_wake="inotify"
)


def found(outcome: Outcome) -> SelfTest:
    trial = Trial(
        kind="thread", name="aes_gcm", outcome=outcome, required=True, took_ms=0.123456, detail="so it was"
    )
    return SelfTest(ok=outcome == "passed", trials=(trial,), capabilities=HERE)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outcome], tuple[int, str]]:
    def run(outcome: Outcome) -> tuple[int, str]:
        async def tried() -> SelfTest:
            return found(outcome)

        monkeypatch.setattr(doctor, "self_test", tried)
        monkeypatch.setattr(doctor, "is_terminal", lambda: True)
        ran = CliRunner().invoke(doctor.command, ["--workers"], terminal_width=120)
        return ran.exit_code, ran.output

    return run


def test_a_person_gets_a_table_and_what_shared_state_is_made_with(
    said: Callable[[Outcome], tuple[int, str]],
) -> None:
    code, text = said("passed")
    assert code == 0
    for word in ("aes_gcm", "passed", "0.1", "so it was", "lock", "inotify"):
        assert word in text


def test_a_required_trial_that_failed_ends_with_1(said: Callable[[Outcome], tuple[int, str]]) -> None:
    code, text = said("failed")
    assert code == 1
    assert "does not do what it must" in text
