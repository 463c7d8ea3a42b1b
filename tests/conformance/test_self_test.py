"""The self-test passes where all is well, says what is missing, and fails where something must not be so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.loops import one_loop
from tests.support.trials import DEAF
from workers import Capabilities, Kind, SelfTest, capabilities, self_test
from workers.self_testing import INFORMATIONAL, REQUIRED, Trial, judged
from workers.settings import KINDS
from workers.shared import capabilities as capabilities_module
from workers.shared import opening
from workers.shared.native import Native, native

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_S = 30.0


async def tried(kinds: Sequence[Kind], **how: Any) -> SelfTest:
    with anyio.fail_after(LIMIT_S):
        return await self_test(kinds, **how)


async def test_every_kind_passes_every_trial_here() -> None:
    found = await tried(("inline", "thread", "process"))
    assert [(each.kind, each.name, each.outcome) for each in found.trials] == [
        (kind, name, "passed")
        for kind in ("inline", "thread", "process")
        for name in (*REQUIRED, *INFORMATIONAL)
    ]
    assert found.ok
    assert {each.name for each in found.trials if each.required} == {"start", "ping", "hash", "aes_gcm"}


@one_loop
async def test_it_can_be_read_by_a_program_and_by_a_person() -> None:
    found = await tried(("inline",))
    assert json.loads(found.json())["trials"][1]["name"] == "ping"
    lines = found.table().splitlines()
    assert lines[0].split() == ["kind", "trial", "outcome", "ms", "detail"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["inline", each.name, "passed"] for each in found.trials
    ]


@one_loop
async def test_what_is_merely_missing_is_told_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    found = await tried(("inline", "thread"))
    assert found.ok
    outcomes = {(each.kind, each.name): (each.outcome, each.detail) for each in found.trials}
    assert outcomes["thread", "memfd"][0] == "unavailable"
    assert outcomes["thread", "shared"] == ("passed", "owner")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("forged", "TrialFailed: AES-256-GCM takes a forged ciphertext"),
        ("broken", "TaskFailed: aes_gcm failed with KeyError"),
        ("wrong", "InvalidResult"),
    ],
)
@one_loop
async def test_a_required_trial_that_fails_fails_the_test_and_the_others_go_on(
    fault: str, words: str
) -> None:
    found = await tried(("thread",), service=f"tests.support.trials:{fault.title()}Trials")
    failed = [each for each in found.trials if each.outcome == "failed"]
    assert [each.name for each in failed] == ["aes_gcm"]
    assert failed[0].detail.startswith(words)
    assert not found.ok
    assert len(found.trials) == len(REQUIRED) + len(INFORMATIONAL)


@one_loop
async def test_a_trial_that_does_not_end_fails_at_its_limit() -> None:
    DEAF.clear()
    try:
        found = await tried(("thread",), service="tests.support.trials:DeafTrials", limit_s=0.2)
    finally:
        DEAF.set()
    outcomes = {each.name: each.outcome for each in found.trials}
    assert (outcomes["ping"], outcomes["hash"]) == ("passed", "failed")
    assert not found.ok


@one_loop
async def test_a_kind_that_can_not_start_is_told_apart_from_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    found = await tried(("inline", "process"))
    [trial] = [each for each in found.trials if each.kind == "process"]
    assert (trial.name, trial.outcome) == ("start", "unavailable")
    assert "no more processes" in trial.detail
    assert found.ok
    alone = await tried(("process",))
    assert not alone.ok
    unbuildable = await tried(("thread",), service="tests.support.trials:Nothing")
    assert [(each.name, each.outcome) for each in unbuildable.trials] == [("start", "failed")]
    assert not unbuildable.ok


def test_nothing_tried_is_not_well() -> None:
    assert not judged([])
    start = Trial(kind="inline", name="start", outcome="passed", required=True, took_ms=1.0, detail="")
    assert judged([start])


def test_capabilities_say_what_is_in_use_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert capabilities() == Capabilities(
        backing="atomics", memory_reason="", atomics=True, threads_wake="futex", tasks_wake="inotify"
    )
    bare = Native(None, None, None)
    for module in (opening, capabilities_module):
        monkeypatch.setattr(module, "native", lambda: bare)
    assert capabilities() == Capabilities(
        backing="lock", memory_reason="", atomics=False, threads_wake="poll", tasks_wake="poll"
    )
    monkeypatch.delattr(os, "memfd_create")
    without_memory = capabilities()
    assert (without_memory.backing, bool(without_memory.memory_reason)) == ("owner", True)


def test_a_user_without_an_inotify_instance_left_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError("too many")

    inotify = native().inotify
    assert inotify is not None
    monkeypatch.setattr(inotify, "open", refuse)
    assert capabilities().tasks_wake == "poll"


def test_the_doctor_tries_the_workers_and_prints_json_to_a_program() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "dataserver", "doctor", "--workers"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["ok"] is True
    assert {each["kind"] for each in said["trials"]} == set(KINDS)
    assert said["capabilities"]["backing"] == "atomics"
