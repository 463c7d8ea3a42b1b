"""What the command line takes and what it refuses, without a process for each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dataserver.cli.root import root


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in ("USE_SQLITE_WORKERS", "SQLITE_WORKER_KIND"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


@pytest.mark.parametrize(
    "arguments",
    [
        "frobnicate",
        "serve --frobnicate",
        "serve --port x",
        "serve --port 70000",
        "serve --workers many",
        "serve --server apache",
        "query",
        "query shop",
        "query shop SQL --timeout -1",
        "query shop SQL --format xml",
        "token create",
        "token create --role god",
        "token revoke",
        "user create",
        "user create ann --role god",
        "user role ann god",
        "import csv no-such-file shop t",
        "import csv . shop t",
        "import parquet x y",
        "chat send",
        "chat login",
        "chat tail room --count 0",
        "doctor x",
        "demo --workers many",
    ],
)
def test_wrong_use_exits_2_with_the_usage_on_stderr(runner: CliRunner, arguments: str) -> None:
    refused = runner.invoke(root, arguments.split())
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Usage: " in refused.stderr


@pytest.mark.parametrize("command", ["serve", "demo", "doctor", "query shop SQL", "token list", "user list"])
def test_a_variable_with_a_slip_is_wrong_use_for_every_command(runner: CliRunner, command: str) -> None:
    refused = runner.invoke(root, command.split(), env={"SQLITE_WORKER_COUNTS": "2"})
    assert refused.exit_code == 2
    assert "Did you mean SQLITE_WORKER_COUNT" in refused.stderr


def test_a_delimiter_is_one_character_that_csv_does_not_need(runner: CliRunner, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    for delimiter in ("", ",,", '"', "\n"):
        refused = runner.invoke(
            root,
            ["import", "csv", str(file), "shop", "t", "--delimiter", delimiter, "--data-dir", str(tmp_path)],
        )
        assert refused.exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "demo",
        "import",
        "import csv",
        "import sqlite",
        "query",
        "queue",
        "token",
        "user",
        "doctor",
        "rekey",
    ],
)
def test_every_command_explains_itself(runner: CliRunner, command: str) -> None:
    shown = runner.invoke(root, [*command.split(), "--help"])
    assert shown.exit_code == 0
    assert "Usage: " in shown.stdout


def test_a_command_starts_without_what_it_does_not_need() -> None:
    asked = (
        "import sys, click; from dataserver.cli.root import root; root.get_command(click.Context(root), 'query');"
        "print({'rich', 'chat.domain.service', 'cryptography', 'uvicorn'} & set(sys.modules)); import rich"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "set()\n"
