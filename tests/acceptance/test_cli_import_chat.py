"""`dataserver import chat`: into a folder without a server, and through the one that runs on it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command_line import THREADS, called, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def log_of(path: Path, count: int) -> Path:
    lines = [
        {"id": n, "room": f"#{n % 3}", "author": f"a{n % 7}", "ts": "2020-01-01T00:00:00Z", "text": f"{n}"}
        for n in range(count)
    ]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return path


def brought(file: Path, folder: Path, *options: str) -> dict[str, Any]:
    done = called("import", "chat", file, *options, "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_log_is_brought_in_without_a_server_and_goes_on_through_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert called("user", "create", "ann", "--data-dir", folder).returncode == 0
    file = log_of(tmp_path / "talk.jsonl.gz", 3_000)
    first = brought(file, folder, "--owner", "ann", "--space", "Old talk")
    assert first == {"space": first["space"], "source": "talk", "stored": 3_000, "known": 0, "skipped": 0}

    log_of(file, 3_500)
    with serving(folder, environment=THREADS):
        assert brought(file, folder) == {**first, "stored": 500, "known": 3_000}

    refused = called("import", "chat", file, "--source", "other", "--owner", "zoe", "--data-dir", folder)
    assert (refused.returncode, "there is no user 'zoe'" in refused.stderr) == (1, True)
