"""`dataserver queue FILE` on the file of an encrypted queue: the settings say where its key is, and nothing else does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chat import QueueSettings, SendMessage, open_queue
from tests.support.command_line import called

if TYPE_CHECKING:
    from pathlib import Path

    from workers import FileKeySource

    Keys = dict[str, FileKeySource]


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


async def _make_queue(path: Path, key: FileKeySource | None) -> None:
    async with open_queue(path, QueueSettings(key=key)) as queue:
        await queue.enqueue(SendMessage(room_id="a", content="hello"), client_id="m1")


def look(path: Path, *words: str, keys: str = "") -> Any:
    done = called("queue", path, *words, environment={"DATASERVER_KEYS": keys})
    assert "Traceback" not in done.stderr
    return done


def place_of(key: FileKeySource) -> str:
    return f"outbox.db=file:{key.path}"


@pytest.fixture
def outbox(tmp_path: Path, keys: Keys) -> Path:
    path = tmp_path / "outbox.db"
    anyio.run(_make_queue, path, keys["first"])
    return path


def test_an_encrypted_queue_is_listed_followed_and_changed_with_the_key_that_the_settings_name(
    outbox: Path, keys: Keys
) -> None:
    place = place_of(keys["first"])
    (listed,) = json.loads(look(outbox, "list", keys=place).stdout)
    assert (listed["client_id"], listed["payload"]["content"]) == ("m1", "hello")
    assert json.loads(look(outbox, "tail", "--after", "0", "--count", "1", keys=place).stdout)
    assert "m1: cancelled" in look(outbox, "cancel", "m1", keys=place).stderr
    assert json.loads(look(outbox, "stats", keys=place).stdout)["all"]["cancelled"] == 1


def test_an_encrypted_queue_without_its_key_or_with_another_one_says_so(outbox: Path, keys: Keys) -> None:
    before = outbox.read_bytes()
    for place, words in (
        ("", "or encrypted, and no key was given for it"),
        (place_of(keys["second"]), "key"),
        ("outbox.db=file:/nowhere/a.key", "key"),
    ):
        for command in (("list",), ("retry", "m1"), ("tail", "--count", "1")):
            refused = look(outbox, *command, keys=place)
            assert (refused.returncode, words in refused.stderr, refused.stdout) == (1, True, ""), (
                refused.stderr
            )
            assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert outbox.read_bytes() == before


def test_a_queue_that_was_in_the_clear_is_encrypted_by_rekey_and_its_name_tells_where_the_key_is(
    tmp_path: Path, keys: Keys
) -> None:
    path, data = tmp_path / "outbox.db", tmp_path / "data"
    anyio.run(_make_queue, path, None)
    first, second = (f"file:{keys[name].path}" for name in ("first", "second"))
    done = called("rekey", path, "--to", first, "--data-dir", data)
    assert (done.returncode, f"has to say outbox.db={first}" in done.stderr) == (0, True), done.stderr
    settings = {"DATASERVER_KEYS": f"outbox.db={first}"}
    done = called("rekey", path, "--to", second, "--data-dir", data, environment=settings)
    assert done.returncode == 0, done.stderr
    assert json.loads(look(path, "stats", keys=f"outbox.db={second}").stdout)["all"]["pending"] == 1
