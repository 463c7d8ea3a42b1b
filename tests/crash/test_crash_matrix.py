"""The crash matrix finds a broken queue: a run of a transport that was broken on purpose is not clean, and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("sabotage", "expected"),
    [("ids", {"doubled"}), ("calls", {"lost", "told wrongly"}), ("order", {"reordered"})],
)
def test_a_transport_broken_on_purpose_is_found_out(
    tmp_path: Path, sabotage: str, expected: set[str]
) -> None:
    command = [sys.executable, "-m", "chat.testing.crash_matrix", "--actions", "250", "--processes", "2"]
    run = subprocess.run(  # noqa: S603 - our own code
        [*command, "--limit-s", "10", "--sabotage", sabotage, "--json", "--folder", tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    report = json.loads(run.stdout)

    assert (run.returncode, report["is_clean"]) == (1, False)
    assert {what for what, count in report["wrong"].items() if count} >= expected
