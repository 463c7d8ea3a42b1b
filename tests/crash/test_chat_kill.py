"""A process that is killed with SIGKILL loses no message, sends none twice, and none out of order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KILLS_COUNT = 6
MESSAGES_COUNT = 100_000


def run_until_killed(folder: Path, run: int, *, acknowledged: int) -> list[str]:
    """Start the child, kill it after it has stored so many messages, and return the lines of what it stored."""
    child = start(folder, run, MESSAGES_COUNT)
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line.rstrip("\n"))
        if len(lines) == acknowledged:
            child.kill()
    child.wait()
    child.stdout.close()
    return lines


def start(folder: Path, run: int, count: int) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.crash.chat_child",
        str(folder / "queue.db"),
        str(folder / "ledger"),
    ]
    return subprocess.Popen(  # noqa: S603 - our own module
        [*command, str(run), str(count)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_after_kills_every_stored_message_is_delivered_once_and_in_order(tmp_path: Path) -> None:
    stored: list[str] = []
    for run in range(KILLS_COUNT):
        stored += run_until_killed(tmp_path, run, acknowledged=37 * (run + 1))
    child = start(tmp_path, KILLS_COUNT, 0)
    child.communicate(timeout=50)
    assert child.returncode == 0

    delivered = (tmp_path / "ledger").read_text(encoding="ascii").splitlines()
    assert len(set(delivered)) == len(delivered)
    assert set(stored) - set(delivered) == set()
    for room in {line.split()[1] for line in stored}:
        order = [line for line in delivered if line.split()[1] == room]
        assert [line for line in order if line in set(stored)] == [
            line for line in stored if line.split()[1] == room
        ]
