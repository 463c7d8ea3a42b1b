"""`dataserver backup`, `restore` and `verify`, with a server on the folder and without, and backups over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Self

import apsw
import httpx2
import pytest

from tests.support.command_line import LIMIT_S, THREADS, RunningServer, called, run, serving


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
        for what in (name, again["name"], folder / "backups" / again["name"]):
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
            for own in ("chat.db", "server.db"):
                refused = client.request(
                    method, f"/v1/databases/{own}/backup", headers={"Authorization": f"Bearer {token}"}
                )
                assert refused.status_code == 403
        assert client.get("/v1/databases/nothing/backup").status_code == 404
        assert client.get("/v1/databases/other.db/backup").status_code == 400


class Senders:
    """Three users' threads that send as fast as they are answered; `acknowledged` is what the server has said is stored."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: list[tuple[str, int]] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._send, args=(name,)) for name in ("ann", "bob", "cy")]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def until(self, count: int) -> int:
        """Wait until so many more messages are acknowledged; return how many are."""
        wanted, deadline = len(self.acknowledged) + count, time.monotonic() + LIMIT_S / 2
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline
            self._stop.wait(0.001)
        return len(self.acknowledged)

    def _send(self, name: str) -> None:
        body = {"name": name, "password": "correct horse battery", "device": "x"}
        with httpx2.Client(base_url=self.url, timeout=LIMIT_S) as client:
            made = client.post("/v1/auth/register", json=body).raise_for_status().json()
            client.headers["Authorization"] = f"Bearer {made['access_token']}"
            space = (
                client.post("/v1/spaces", json={"client_id": "s", "name": name})
                .raise_for_status()
                .json()["id"]
            )
            room = (
                client.post(f"/v1/spaces/{space}/rooms", json={"client_id": "r", "name": "x"})
                .raise_for_status()
                .json()["id"]
            )
            for number in count(1):
                if self._stop.is_set():
                    return
                sent = {"client_id": f"{name}-{number}", "content": f"{name} says {number}"}
                client.post(f"/v1/rooms/{room}/messages", json=sent).raise_for_status()
                self.acknowledged.append((name, number))


def numbers_in(chat: Path) -> dict[str, list[int]]:
    """Return the numbers of the messages of each sender, in the order in which they are stored."""
    connection = apsw.Connection(str(chat), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found: dict[str, list[int]] = {}
        for (client_id,) in connection.execute("SELECT client_id FROM message ORDER BY id"):
            name, _, number = str(client_id).partition("-")
            found.setdefault(name, []).append(int(number))
        return found
    finally:
        connection.close()


def test_what_was_acknowledged_before_a_backup_over_http_began_is_in_it_and_comes_back(
    server: RunningServer, tmp_path: Path
) -> None:
    with (
        httpx2.Client(base_url=server.url, headers=server.headers, timeout=LIMIT_S) as client,
        Senders(server.url) as senders,
    ):
        before = client.get("/v1/databases/chat.db/backup").json()["backups"]
        made = []
        for _ in range(3):
            acknowledged_count = senders.until(50)
            answer = client.post("/v1/databases/chat.db/backup", json={})
            made.append((answer.raise_for_status().json()["name"], acknowledged_count))
        token = client.post("/v1/tokens", json={"role": "read", "name": "kept"}).json()["id"]
        tokens = client.post("/v1/databases/server.db/backup", json={}).raise_for_status().json()["name"]
        listed = client.get("/v1/databases/chat.db/backup").json()["backups"]
        assert [each["name"] for each in listed if each not in before] == [name for name, _ in made]
    for name, acknowledged_count in made:
        fresh = tmp_path / name
        source = server.data_dir / "backups" / name
        restored = called("restore", "chat.db", source, "--data-dir", fresh)
        assert restored.returncode == 0, restored.stderr
        checked = called("verify", "chat.db", "--data-dir", fresh)
        assert checked.returncode == 0, checked.stderr
        found = numbers_in(fresh / "chat.db")
        for sender, numbers in found.items():
            assert numbers == list(range(1, len(numbers) + 1)), sender
        for sender, number in senders.acknowledged[:acknowledged_count]:
            assert number <= len(found[sender])
    fresh = tmp_path / "tokens"
    restored = called("restore", "server.db", server.data_dir / "backups" / tokens, "--data-dir", fresh)
    assert restored.returncode == 0, restored.stderr
    assert token in [each["id"] for each in json.loads(called("token", "list", "--data-dir", fresh).stdout)]
