from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def printed() -> str:
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=110,
        env={
            name: value  # measured, it crawls; beside other tests, pytest-benchmark would not save
            for name, value in os.environ.items()
            if not name.startswith(("COVERAGE", "PYTEST_XDIST"))
        },
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.timeout(120)
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
    assert groups == [
        "[point reads, N in flight]",
        "[a lone point read]",
        "[more workers, N in flight]",
        "[cost growth: point reads]",
        "[N-row page as JSON, N in flight]",
        "[N rows as JSON]",
        "[N point reads beside N scans of N s]",
        "[durable writes, FULL, beside an fdatasync of N us]",
        "[point read over HTTP with a token, N connections]",
        "[N-row page over HTTP with a token, N connections]",
        "[the same by kind of pool: process against the others, on uvicorn]",
        "[N answers of N rows leave a server at once]",
        "[N point reads over HTTP beside N scans whose clients leave]",
    ]


@pytest.mark.timeout(120)
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
