"""`dataserver user`: what it does counts at once, with a server and without."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, called, run, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("users")
    made = called("user", "create", "Ann", "--display-name", "Ann Lee", "--data-dir", folder)
    (folder / "password").write_text(made.stdout)
    with serving(folder, environment=THREADS) as server:
        yield server


def login(server: RunningServer, name: str, password: str) -> httpx2.Response:
    return httpx2.post(f"{server.url}/v1/auth/login", json={"name": name, "password": password})


def listed(folder: Path, name: str) -> dict[str, Any]:
    users = json.loads(called("user", "list", "--data-dir", folder).stdout)
    [found] = [each for each in users if each["name"] == name]
    return dict(found)


def test_a_made_up_password_is_alone_on_stdout_and_lets_the_user_in(server: RunningServer) -> None:
    password = (server.data_dir / "password").read_text()
    assert password.endswith("\n")
    assert login(server, "ann", password.strip()).status_code == 200
    assert login(server, "ann", "another password").status_code == 401
    assert listed(server.data_dir, "ann")["display_name"] == "Ann Lee"


def test_a_role_lets_a_user_reach_the_databases_of_a_running_server(server: RunningServer) -> None:
    folder = server.data_dir
    made = run("user", "create", "zoe", "--data-dir", folder)
    password = made.stdout.strip()
    assert made.stdout == f"{password}\n"
    assert password not in made.stderr
    token = login(server, "zoe", password).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    def statuses() -> list[int]:
        with httpx2.Client(base_url=server.url, headers=headers) as client:
            return [
                client.get("/v1/databases").status_code,
                client.put("/v1/databases/zoes").status_code,
                client.get("/v1/me").status_code,
            ]

    assert statuses() == [403, 403, 200]
    for role, expected in (("read", [200, 403, 200]), ("admin", [200, 201, 200]), ("none", [403, 403, 200])):
        assert called("user", "role", "zoe", role, "--data-dir", folder).returncode == 0
        assert statuses() == expected

    assert called("user", "disable", "zoe", "--data-dir", folder).returncode == 0
    assert statuses() == [401, 401, 401]
    assert login(server, "zoe", password).status_code == 403
    assert listed(folder, "zoe")["disabled_at_ms"] > 0

    assert called("user", "enable", "zoe", "--data-dir", folder).returncode == 0
    assert login(server, "zoe", password).status_code == 200
    changed = called("user", "password", "zoe", "--data-dir", folder).stdout.strip()
    assert login(server, "zoe", password).status_code == 401
    assert login(server, "zoe", changed).status_code == 200


def test_what_cannot_be_done_is_said_in_words(server: RunningServer) -> None:
    for arguments, said in (
        (("create", "ann"), "somebody has the name 'ann' already"),
        (("create", "'; DROP TABLE user"), "the name has to be"),
        (("disable", "nobody"), "there is no user 'nobody'"),
    ):
        refused = called("user", *arguments, "--data-dir", server.data_dir)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert said in refused.stderr


def test_a_password_can_come_from_stdin_and_is_not_shown(server: RunningServer) -> None:
    arguments = ("user", "create", "max", "--password-stdin", "--data-dir", server.data_dir)
    made = called(*arguments, typed=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout) == (0, "")
    assert login(server, "max", PASSWORD).status_code == 200
