"""`dataserver backup`, `restore` and `verify`, with a server on the folder and without, and backups over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, called, run, serving


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def shop_in(place: Path) -> Path:
    """Make a data folder with the database `shop`, by the command line itself."""
    rows = place / "rows.jsonl"
    rows.write_text('{"id":1,"name":"lamp"}\n{"id":2,"name":"desk"}\n', encoding="utf-8")
    made = called(
        "import", "jsonl", rows, "shop", "goods", "--primary-key", "id", "--data-dir", place / "data"
    )
    assert made.returncode == 0, made.stderr
    return place / "data"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(shop_in(tmp_path_factory.mktemp("served")), environment=THREADS) as running:
        yield running


@pytest.fixture(params=["alone", "through a server"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data folder, reached either way; with a server, the one of this module."""
    if request.param == "alone":
        return shop_in(tmp_path)
    served: RunningServer = request.getfixturevalue("server")
    return served.data_dir


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A data folder with nobody on it."""
    return shop_in(tmp_path)


def names(folder: Path) -> list[str]:
    done = called("query", "shop", "SELECT name FROM goods ORDER BY id", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    return [row["name"] for row in json.loads(done.stdout)]


def users(folder: Path) -> list[str]:
    done = called("user", "list", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    return [each["name"] for each in json.loads(done.stdout)]


def streams(folder: Path) -> dict[Any, Any]:
    """Return the epochs of the chat's streams."""
    chat = apsw.Connection(str(folder / "chat.db"))
    try:
        return {row[0]: row[1] for row in chat.execute("SELECT id, epoch FROM stream")}
    finally:
        chat.close()


def test_a_backup_goes_into_the_folder_and_comes_back_by_its_name(folder: Path, tmp_path: Path) -> None:
    made = called("backup", "shop", "--data-dir", folder)
    assert made.returncode == 0, made.stderr
    backup = json.loads(made.stdout)
    assert [path.name for path in (folder / "backups").glob("shop-*")] == [backup["name"]]
    refused = called("restore", "shop", backup["name"], "--data-dir", folder)
    assert (refused.returncode, "already" in refused.stderr) == (1, True)

    again = called("restore", "second", backup["name"], "--data-dir", folder)
    assert again.returncode == 0, again.stderr
    changed = tmp_path / "more.jsonl"
    changed.write_text('{"id":3,"name":"chair"}\n', encoding="utf-8")
    assert (
        called("import", "jsonl", changed, "shop", "goods", "--append", "--data-dir", folder).returncode == 0
    )
    assert names(folder) == ["lamp", "desk", "chair"]
    replaced = called("restore", "shop", backup["name"], "--replace", "--data-dir", folder)
    assert replaced.returncode == 0, replaced.stderr
    assert names(folder) == ["lamp", "desk"]


def test_the_chat_and_the_tokens_are_copied_and_checked_as_databases_are(folder: Path) -> None:
    for name, table in (("chat.db", "stream"), ("server.db", "token")):
        made = called("backup", name, "--keep", "1", "--data-dir", folder)
        assert made.returncode == 0, made.stderr
        again = json.loads(called("backup", name, "--keep", "1", "--data-dir", folder).stdout)
        assert again["removed"] == [json.loads(made.stdout)["name"]]
        for what in (name, folder / "backups" / again["name"]):
            checked = called("verify", what, "--data-dir", folder)
            assert (checked.returncode, table in json.loads(checked.stdout)["table_counts"]) == (0, True)


def test_the_chat_comes_back_out_of_its_backup_under_other_epochs(alone: Path) -> None:
    assert called("user", "create", "ann", "--data-dir", alone).returncode == 0
    backup = json.loads(called("backup", "chat.db", "--data-dir", alone).stdout)
    before = streams(alone)
    assert called("user", "create", "bob", "--data-dir", alone).returncode == 0
    unasked = called("restore", "chat.db", backup["name"], "--data-dir", alone)
    assert (unasked.returncode, "--replace" in unasked.stderr) == (1, True)
    with serving(alone, environment=THREADS):
        meanwhile = called("restore", "chat.db", backup["name"], "--replace", "--data-dir", alone)
        assert (meanwhile.returncode, "in use" in meanwhile.stderr) == (1, True)
    other = called("restore", "chat.db", alone / "server.db", "--replace", "--data-dir", alone)
    assert (other.returncode, "no such table: stream" in other.stderr) == (1, True)
    assert users(alone) == ["ann", "bob"]
    restored = called("restore", "chat.db", backup["name"], "--replace", "--data-dir", alone)
    assert restored.returncode == 0, restored.stderr
    assert users(alone) == ["ann"]
    after = streams(alone)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert [path.name for path in alone.iterdir() if "restoring" in path.name] == []


def test_the_tokens_come_back_out_of_their_backup_into_an_empty_folder(alone: Path, tmp_path: Path) -> None:
    assert called("token", "create", "--role", "read", "--data-dir", alone).returncode == 0
    backup = json.loads(called("backup", "server.db", "--data-dir", alone).stdout)
    fresh = tmp_path / "fresh"
    source = alone / "backups" / backup["name"]
    restored = run("restore", "server.db", source, "--data-dir", fresh)
    assert restored.returncode == 0, restored.stderr
    ids = [
        [each["id"] for each in json.loads(called("token", "list", "--data-dir", where).stdout)]
        for where in (alone, fresh)
    ]
    assert ids[0] == ids[1] != []


def test_a_backup_goes_where_it_is_told_and_over_nothing(alone: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.db"
    assert run("backup", "shop", "--to", target, "--data-dir", alone).returncode == 0
    again = called("backup", "shop", "--to", target, "--data-dir", alone)
    assert (again.returncode, "already" in again.stderr, again.stdout) == (1, True, "")
    nowhere = called("backup", "shop", "--to", tmp_path / "no" / "folder.db", "--data-dir", alone)
    assert nowhere.returncode == 1
    assert "Traceback" not in nowhere.stderr
    checked = run("verify", target, "--data-dir", alone)
    assert (checked.returncode, json.loads(checked.stdout)["table_counts"]["goods"]) == (0, 2)


def test_only_the_newest_backups_are_kept(alone: Path) -> None:
    made = [json.loads(called("backup", "shop", "--keep", "2", "--data-dir", alone).stdout) for _ in range(3)]
    assert made[2]["removed"] == [made[0]["name"]]
    assert sorted(path.name for path in (alone / "backups").iterdir()) == sorted(
        each["name"] for each in made[1:]
    )


def test_an_unsound_file_is_told_and_not_restored(alone: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.db"
    assert called("backup", "shop", "--to", bad, "--data-dir", alone).returncode == 0
    content = bytearray(bad.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    bad.write_bytes(content)
    checked = called("verify", bad, "--data-dir", alone)
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["complaints"]
    assert "not sound" in checked.stderr
    refused = called("restore", "shop", bad, "--replace", "--data-dir", alone)
    assert (refused.returncode, "damaged" in refused.stderr) == (1, True)
    assert names(alone) == ["lamp", "desk"]
    sound = called("verify", "shop", "--data-dir", alone)
    assert (sound.returncode, json.loads(sound.stdout)["is_sound"]) == (0, True)


def test_over_http_backups_are_made_and_listed_by_administrators_alone(server: RunningServer) -> None:
    with httpx2.Client(base_url=server.url, headers=server.headers) as client:
        assert client.put("/v1/databases/stall").status_code == 201
        made = client.post("/v1/databases/stall/backup", json={"keep_count": 1})
        assert made.status_code == 201, made.text
        again = client.post("/v1/databases/stall/backup", json={"keep_count": 1}).json()
        assert again["removed"] == [made.json()["name"]]
        listed = client.get("/v1/databases/stall/backup").json()["backups"]
        assert [(each["name"], each["size_bytes"]) for each in listed] == [
            (again["name"], again["size_bytes"])
        ]
        token = client.post("/v1/tokens", json={"role": "write"}).json()["token"]
        for method in ("GET", "POST"):
            refused = client.request(
                method, "/v1/databases/stall/backup", headers={"Authorization": f"Bearer {token}"}
            )
            assert refused.status_code == 403
        assert client.get("/v1/databases/nothing/backup").status_code == 404
