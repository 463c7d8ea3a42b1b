"""The README tells the truth of today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dataserver.setting_table import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown(default: object) -> object:
    """Return a default as it is on every machine: a folder from where the server is started."""
    return f"./{default.name}" if isinstance(default, Path) else default


def settings_table() -> str:
    """Return the table of settings as the README must have it."""
    lines = ["| environment | in the file | flag | default | meaning |", "|---|---|---|---|---|"]
    for one in SETTINGS:
        flag = f"`{one.flag}`" if one.flag else ""
        default = "cores, at least 2" if one.key == "storage.worker_count" else f"`{shown(one.default)}`"
        lines.append(f"| `{one.environment}` | `{one.key}` | {flag} | {default} | {one.help} |")
    return "\n".join(lines)


def test_every_setting_stands_in_the_readme_as_the_code_has_it() -> None:
    between = README.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0].strip()
    assert between == settings_table()


def test_every_guarantee_names_tests_that_exist() -> None:
    guarantees = README.partition("## What it guarantees")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", guarantees))
    found = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named - found == set()


def test_every_row_of_the_guarantees_names_a_test() -> None:
    guarantees = README.partition("## What it guarantees")[2].partition("\n## ")[0]
    rows = [line for line in guarantees.splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if "`test_" not in row] == []
    files = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_\w+\.py)`", guarantees)) <= files


def test_every_file_the_readme_names_exists() -> None:
    named = set(re.findall(r"`((?:workers|storage|chat|dataserver|tests|loadtests)/[\w/]+\.\w+)`", README))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("code", "says"), list(zip(EXAMPLES, ["lamp", "MessageSent"], strict=True)), ids=["data", "chat"]
)
def test_the_examples_run_as_they_stand(code: str, says: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):  # a newcomer runs it twice
        ran = subprocess.run(  # noqa: S603 - our own example
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert (ran.returncode, says in ran.stdout) == (0, True), ran.stderr
