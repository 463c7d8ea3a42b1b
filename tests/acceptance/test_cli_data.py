"""`dataserver query` and `dataserver token`: data on stdout, everything else elsewhere, with a server and without."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, called, run, run_on_terminal, serving


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def shop_in(place: Path) -> Path:
    """Make a data folder with the database `shop`, by the command line itself."""
    rows = place / "rows.jsonl"
    rows.write_text('{"id":1,"name":"caf\u00e9 \U0001f980"}\n{"id":2,"name":null}\n', encoding="utf-8")
    made = called(
        "import", "jsonl", rows, "shop", "goods", "--primary-key", "id", "--data-dir", place / "data"
    )
    assert made.returncode == 0, made.stderr
    return place / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with nobody on it."""
    return shop_in(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(shop_in(tmp_path_factory.mktemp("served")), environment=THREADS) as running:
        yield running


@pytest.fixture(scope="module", params=["alone", "through a server"])
def reached(request: pytest.FixtureRequest) -> Path:
    """A data folder, reached either way."""
    if request.param == "alone":
        alone: Path = request.getfixturevalue("folder")
        return alone
    served: RunningServer = request.getfixturevalue("server")
    return served.data_dir


def test_a_query_in_a_pipe_is_json_and_nothing_else(reached: Path) -> None:
    done = run("query", "shop", "SELECT * FROM goods ORDER BY id", "--data-dir", reached)
    said = [
        line for line in done.stderr.splitlines() if "opened_without_workers" not in line
    ]  # with the flag at 0
    assert (done.returncode, said) == (0, [])
    assert json.loads(done.stdout) == [{"id": 1, "name": "caf\u00e9 \U0001f980"}, {"id": 2, "name": None}]


def test_a_query_comes_in_the_form_asked_for(reached: Path) -> None:
    def asked(form: str) -> str:
        sql = "SELECT * FROM goods ORDER BY id"
        return called("query", "shop", sql, "--format", form, "--data-dir", reached).stdout

    rows = [{"id": 1, "name": "caf\u00e9 \U0001f980"}, {"id": 2, "name": None}]
    assert json.loads(asked("json")) == rows
    assert [json.loads(line) for line in asked("ndjson").splitlines()] == rows
    assert list(csv.reader(asked("csv").splitlines())) == [
        ["id", "name"],
        ["1", "caf\u00e9 \U0001f980"],
        ["2", ""],
    ]


def test_parameters_are_bound_not_pasted(reached: Path) -> None:
    done = called("query", "shop", "SELECT ? AS a, ? AS b", "-p", "x'); --", "-p", "2", "--data-dir", reached)
    assert json.loads(done.stdout) == [{"a": "x'); --", "b": "2"}]


def test_an_answer_larger_than_any_one_message_arrives_whole(reached: Path) -> None:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT i, 'x' || i FROM n"
    rows = json.loads(called("query", "shop", sql, "--data-dir", reached).stdout)
    assert len(rows) == 400_000
    assert rows[-1] == {"i": 400_000, "'x' || i": "x400000"}


@pytest.mark.parametrize(
    ("database", "sql", "complaint"),
    [
        ("shop", "SELEC 1", "syntax error"),
        ("shop", "SELECT * FROM absent", "no such table"),
        ("shop", "DELETE FROM goods", "read"),
        ("none", "SELECT 1", "none"),
        ("../x", "SELECT 1", "name"),
    ],
)
def test_a_query_that_fails_says_why_and_exits_1(
    reached: Path, database: str, sql: str, complaint: str
) -> None:
    failed = called("query", database, sql, "--data-dir", reached)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert complaint in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_query_past_its_time_is_stopped(reached: Path) -> None:
    forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    stopped = called("query", "shop", forever, "--timeout", "0.2", "--data-dir", reached)
    assert stopped.returncode == 1
    assert called("query", "shop", "SELECT 1", "--data-dir", reached).returncode == 0


def test_on_a_terminal_a_query_is_a_table(folder: Path) -> None:
    arguments = ("query", "shop", "SELECT * FROM goods", "--data-dir", folder)
    code, seen, said = run_on_terminal(*arguments, stream="stdout")
    assert code == 0
    assert "caf\u00e9" in seen
    assert "name" in seen
    assert '{"id"' not in seen
    assert "2 rows" in said


def test_a_new_token_is_alone_on_stdout_and_counts_at_once(server: RunningServer) -> None:
    folder = server.data_dir
    made = run("token", "create", "--role", "read", "--name", "ci", "--data-dir", folder)
    token = made.stdout.strip()
    assert made.stdout == f"{token}\n"
    assert token.startswith("dst_")
    assert token not in made.stderr
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx2.get(f"{server.url}/v1/databases", headers=headers).status_code == 200
    assert httpx2.put(f"{server.url}/v1/databases/x", headers=headers).status_code == 403
    [listed] = [
        each
        for each in json.loads(called("token", "list", "--data-dir", folder).stdout)
        if each["name"] == "ci"
    ]
    assert listed["role"] == "read"
    assert called("token", "revoke", listed["id"], "--data-dir", folder).returncode == 0
    assert httpx2.get(f"{server.url}/v1/databases", headers=headers).status_code == 401


def test_a_token_made_without_a_server_works_on_the_next_one(folder: Path) -> None:
    token = called("token", "create", "--role", "admin", "--data-dir", folder).stdout.strip()
    with serving(folder, environment=THREADS) as server:
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx2.get(f"{server.url}/v1/databases", headers=headers).status_code == 200


def test_a_token_that_does_not_exist_cannot_be_revoked(reached: Path) -> None:
    failed = called("token", "revoke", "nonsense", "--data-dir", reached)
    assert failed.returncode == 1
    assert "nonsense" in failed.stderr


def test_wrong_use_exits_2_and_says_nothing_on_stdout(tmp_path: Path) -> None:
    for arguments, environment in (
        (["frobnicate"], {}),
        (["query", "shop", "SELECT 1"], {"SQLITE_WORKER_COUNTS": "2"}),
    ):
        refused = called(*arguments, "--data-dir", tmp_path, environment=environment)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "Usage" in refused.stderr
