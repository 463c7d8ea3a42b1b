"""The benchmark from end to end, at its smallest: minutes on a slow machine, so it is run after the suite."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]


LIMIT_S = 400.0

_OF_BUDGETS = {
    "[point reads, N in flight]",
    "[N-row page as JSON, N in flight]",
    "[N rows as JSON]",
    "[N point reads beside N scans of N s]",
    "[durable writes, FULL, beside an fdatasync of N us]",
    "[point read over HTTP with a token, N connections]",
    "[N-row page over HTTP with a token, N connections]",
    "[N answers of N rows leave a server at once]",
    "[cost growth: flat is taken to be at least Nx]",
}
"""The rows that the budgets of the design ask for, with N for each number."""
_BESIDES = {"[queue: in", "[queue: out", "[workers: ", "[crypto: ", "[compression"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    output = (
        tmp_path_factory.mktemp("bench") / "printed.txt"
    )  # not a pipe, which its candidates could hold open
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks", "--quick"],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        ) as run,
    ):
        try:
            run.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise
    printed = output.read_text()
    assert run.returncode == 0, printed
    return printed


@pytest.mark.timeout(LIMIT_S + 60)
def test_a_quick_run_prints_the_machine_and_a_row_for_every_budget_that_exists(printed: str) -> None:
    assert [
        line.split()[0] for line in printed.splitlines() if re.match("(cpu|python|sqlite|disk) ", line)
    ] == [
        "cpu",
        "python",
        "sqlite",
        "disk",
    ]
    groups = [
        re.sub(r"\d[\d,.]*", "N", line) for line in printed.splitlines() if re.fullmatch(r"\[.+\]", line)
    ]
    assert _OF_BUDGETS - set(groups) == set()
    assert {prefix for prefix in _BESIDES if not any(group.startswith(prefix) for group in groups)} == set()


@pytest.mark.timeout(LIMIT_S + 60)
def test_a_quick_run_saves_its_table_and_every_round_as_json(printed: str) -> None:
    named = re.search(r"^saved: (.+)$", printed, flags=re.MULTILINE)
    assert named is not None
    file = ROOT / named[1]
    saved = msgspec.json.decode(file.read_bytes())
    file.unlink()
    judged = [row for row in saved["table"] if row["floor"] or row["goal"]]
    assert judged
    assert all(row["verdict"] in {"goal", "floor", "BELOW", "-"} for row in judged)
    assert all(row["ours"] is not None for row in saved["table"])
    assert {"fullname", "stats", "extra_info"} <= saved["benchmarks"][0].keys()
