"""Runs `tests/encrypted` with the build of apsw that can encrypt, installed from the registry into a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = "apsw-sqlite3mc==3.54.0.0"
FOLDER = ROOT / ".venv" / BUILD.replace("==", "-")
LIMIT_S = 540.0

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def beside() -> Path:
    """Return the folder with the other build; it is kept for the next run."""
    if not (FOLDER / "apsw").is_dir():
        install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", str(FOLDER), BUILD], check=True, timeout=LIMIT_S)  # noqa: S603
    return FOLDER


def test_all_that_is_said_of_encrypted_databases_holds_with_the_other_build(beside: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/encrypted"]
    environment = {**os.environ, "PYTHONPATH": str(beside)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603  # fmt: skip
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
