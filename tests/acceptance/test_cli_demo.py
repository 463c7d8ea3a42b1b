"""`dataserver demo`: one command to real tables, and again without harm; `doctor` beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from dataserver.demo import NoDemoData, provision
from tests.support.command_line import LIMIT_S, THREADS, called, serving


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def shown(folder: Path, *arguments: str | Path) -> tuple[str, object]:
    """Run the demo once; return its token and what the printed curl line answers."""
    with serving(folder, *arguments, command="demo", environment=THREADS) as server:
        assert server.process.stdout is not None
        token = server.process.stdout.readline().strip()
        said = "".join(server.said)
        assert token in said
        line = said[said.index("curl ") :].split("\n\n")[0]
        answer = subprocess.run(["sh", "-c", line], capture_output=True, timeout=LIMIT_S, check=True)  # noqa: S603, S607
        assert server.stop() == 0
    return token, json.loads(answer.stdout)


def rows_of(folder: Path, database: str, sql: str) -> object:
    return json.loads(called("query", database, sql, "--data-dir", folder).stdout)


def test_the_demo_shows_real_tables_and_again_does_no_harm(real_data: Path, tmp_path: Path) -> None:
    folder, source = tmp_path / "demo", tmp_path / "source"
    source.mkdir()
    for name in ("chinook.sqlite", "geonames.sqlite.gz", "chat_slack_ja.jsonl.gz"):  # all but the largest
        (source / name).symlink_to(real_data / name)
    first_token, answer = shown(folder, "--source", source)
    assert answer == {
        "columns": ["Name", "Composer", "Milliseconds"],
        "rows": [
            {"Name": "Occupation / Precipice", "Composer": None, "Milliseconds": 5286953},
            {"Name": "Through a Looking Glass", "Composer": None, "Milliseconds": 5088838},
            {"Name": "Greetings from Earth, Pt. 1", "Composer": None, "Milliseconds": 2960293},
        ],
    }
    assert rows_of(folder, "chat", "SELECT count(*) AS n FROM slack_ja") == [{"n": 19_041}]
    assert rows_of(folder, "geonames", "SELECT count(*) > 200000 AS many FROM city") == [{"many": 1}]
    second_token, again = shown(folder, "--source", source)
    assert again == answer
    assert rows_of(folder, "chat", "SELECT count(*) AS n FROM slack_ja") == [{"n": 19_041}]
    assert second_token != first_token
    valid = [
        each
        for each in json.loads(called("token", "list", "--data-dir", folder).stdout)
        if not each["revoked_at_ms"]
    ]
    assert [each["name"] for each in valid] == ["demo"]


def test_without_the_folder_the_demo_shows_tables_of_a_package_and_says_so(tmp_path: Path) -> None:
    pytest.importorskip("vega_datasets", reason="the extra `demo` is not installed")
    folder = tmp_path / "demo"
    with serving(folder, "--source", tmp_path / "nothing", command="demo", environment=THREADS) as server:
        assert server.process.stdout is not None
        headers = {"Authorization": f"Bearer {server.process.stdout.readline().strip()}"}
        assert "vega-datasets package" in "".join(server.said)
        body = {"sql": "SELECT count(*) AS n FROM cars"}
        answer = httpx2.post(f"{server.url}/v1/databases/vega/query", headers=headers, json=body)
        assert answer.json()["rows"] == [{"n": 406}]
        assert server.stop() == 0


def test_with_neither_folder_nor_package_the_demo_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataserver.demo._PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(NoDemoData, match=r"dataserver\[demo\]"):
        provision(tmp_path)


def test_doctor_tries_every_kind_of_pool_and_finds_a_sound_machine_sound(tmp_path: Path) -> None:
    done = called("doctor", "--data-dir", tmp_path / "data")
    report = json.loads(done.stdout)
    musts = [finding for finding in report["findings"] if finding["verdict"] == "must"]
    assert (done.returncode, musts) == (0, []), done.stderr
    topics = " ".join(finding["topic"] for finding in report["findings"])
    for topic in (
        "SQLite",
        "file system",
        "free space",
        "pool: process",
        "pool: thread",
        "pool: inline",
        "open files",
    ):
        assert topic in topics
    assert "THREADSAFE=1" in report["sqlite_compile_options"]
    assert not (tmp_path / "data").exists()


def test_doctor_exits_1_when_something_must_change(tmp_path: Path) -> None:
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); "
    limited += f"import sys; sys.argv = ['dataserver', 'doctor', '--data-dir', {str(tmp_path)!r}]; "
    limited += "runpy.run_module('dataserver', run_name='__main__')"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", limited], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 1, done.stderr
    [must] = [finding for finding in json.loads(done.stdout)["findings"] if finding["verdict"] == "must"]
    assert must["topic"] == "open files"
    assert "ulimit" in must["change"]


def test_help_imports_no_server_no_storage_and_no_tables() -> None:
    probe = "import sys, click.testing, dataserver.cli.root as r; "
    probe += "print(click.testing.CliRunner().invoke(r.root, ['--help']).exit_code, "
    probe += "[m for m in ('anyio', 'apsw', 'storage', 'structlog', 'uvicorn', 'starlette', 'rich') if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert done.stdout == "0 []\n"
