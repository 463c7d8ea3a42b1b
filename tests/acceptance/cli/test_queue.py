"""`dataserver queue`: a queue's file is looked at, changed and followed from beside, and nothing else is touched."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest
from click.testing import CliRunner, Result

from chat import JoinSpace, Permanent, QueueSettings, SaveUserConfig, SendMessage, open_queue
from chat.testing import ScriptedServer
from dataserver.cli.root import root
from storage import StorageSettings
from storage import open as open_storage
from tests.support.command_line import LIMIT_S, run_on_terminal, start


class Reversing:
    """A seal that anybody can open, for telling what is sealed from what is not."""

    key_id = "key 1"

    def seal(self, body: bytes, context: bytes) -> tuple[str | None, bytes]:  # noqa: ARG002 - see `Seal`
        return self.key_id, body[::-1]

    def open(self, key_id: str | None, sealed: bytes, context: bytes) -> bytes:  # noqa: ARG002 - likewise
        return sealed[::-1]


async def make_queue(path: Path) -> None:
    """Make a queue: a refused message, two that were sent, a configuration that waits an hour, a join that is due."""
    server = ScriptedServer()
    server.script(Permanent("no right", status=403))
    async with open_queue(path) as queue:
        queue.handle("send-message", server.deliver, ask=server.ask)
        receipts = [
            queue.put(SendMessage(room_id="a", content=f"text {number}"), client_id=f"m{number}")
            for number in range(3)
        ]
        await receipts[-1].sent()
        await queue.enqueue(SaveUserConfig(fields={"dark": True}), client_id="config", delay_s=3600)
        await queue.enqueue(JoinSpace(space_id="s"), client_id="join")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The queue of which each test gets a copy."""
    path = tmp_path_factory.mktemp("queue") / "queue.db"
    anyio.run(make_queue, path)
    assert not path.with_name("queue.db-wal").exists()
    return path


@pytest.fixture
def file(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(first, tmp_path))


def called(file: Path, *arguments: str) -> Result:
    """Run a command in this process, its output in a pipe."""
    return CliRunner().invoke(root, ["queue", str(file), *arguments])


def answer(file: Path, *arguments: str) -> Any:
    done = called(file, *arguments)
    assert (done.exit_code, done.exception) == (0, None), done.stderr
    return json.loads(done.stdout)


def test_the_actions_are_counted_all_and_by_type(file: Path) -> None:
    counted = answer(file, "stats")

    none = {"pending": 0, "processing": 0, "failed": 0, "completed": 0, "cancelled": 0, "total": 0}
    assert counted == {
        "all": none | {"pending": 2, "failed": 1, "completed": 2, "total": 5},
        "types": {
            "join-space": none | {"pending": 1, "total": 1},
            "save-user-config": none | {"pending": 1, "total": 1},
            "send-message": none | {"failed": 1, "completed": 2, "total": 3},
        },
    }


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], ["m0", "m1", "m2", "config", "join"]),
        (["--status", "failed"], ["m0"]),
        (["--type", "send-message", "--status", "done"], ["m1", "m2"]),
        (["--key", "messages//a"], ["m0", "m1", "m2"]),
        (["--due", "0"], ["join"]),
        (["--due", "4000"], ["config", "join"]),
        (["--account", "nobody"], []),
        (["--limit", "2", "--after", "1"], ["m1", "m2"]),
    ],
)
def test_actions_are_listed_by_what_is_asked_for(file: Path, options: list[str], found: list[str]) -> None:
    assert [each["client_id"] for each in answer(file, "list", *options)] == found


def test_an_action_is_shown_with_its_payload_and_why_it_waits(file: Path) -> None:
    config = answer(file, "show", "config")
    refused = answer(file, "show", "m0")
    sent = answer(file, "show", "m1")

    assert config["action"]["payload"] == {"fields": {"dark": True}}
    assert config["why"]["text"] == "it waits until its time"
    assert refused["why"]["text"] == "failed: 403: no right"
    assert refused["action"]["failure"]["status"] == 403
    assert (sent["action"]["payload"], sent["action"]["result"]) == (None, {"seq": 1})


def test_all_actions_are_exported_a_line_each(file: Path) -> None:
    done = called(file, "export", "--status", "queued")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["client_id"], each["payload"]) for each in lines] == [
        ("config", {"fields": {"dark": True}}),
        ("join", {"space_id": "s"}),
    ]


def test_an_export_of_many_pages_has_all_of_them_once(tmp_path: Path) -> None:
    async def many() -> None:
        async with open_queue(tmp_path / "queue.db") as queue:
            message = SendMessage(room_id="a", content="")
            receipts = [queue.put(message, client_id=str(number)) for number in range(1_000)]
            await receipts[-1].durable()

    anyio.run(many)
    lines = called(tmp_path / "queue.db", "export").stdout.splitlines()
    assert [json.loads(line)["client_id"] for line in lines] == [str(number) for number in range(1_000)]


def test_a_sealed_payload_is_shown_as_sealed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    async def sealed() -> None:
        async with open_queue(tmp_path / "queue.db", seal=Reversing()) as queue:
            await queue.enqueue(SendMessage(room_id="a", content="secret"), client_id="m")

    anyio.run(sealed)
    file = tmp_path / "queue.db"
    exported = called(file, "export").stdout
    shown = answer(file, "show", "m")["action"]
    assert "secret" not in exported
    assert (shown["payload"], shown["sealed_with"]) == (None, "key 1")
    assert json.loads(exported) == shown
    request.getfixturevalue("terminal")
    assert "sealed with the key key 1" in called(file, "show", "m").stdout


def test_a_failed_action_is_tried_again_and_a_waiting_one_taken_back(file: Path) -> None:
    retried = answer(file, "retry", "m0")
    cancelled = answer(file, "cancel", "m0", "config")

    assert retried == [{"client_id": "m0", "outcome": "queued"}]
    assert cancelled == [
        {"client_id": "m0", "outcome": "cancelled"},
        {"client_id": "config", "outcome": "cancelled"},
    ]
    assert answer(file, "stats")["all"]["cancelled"] == 2


def test_all_that_failed_is_tried_again_at_once(file: Path) -> None:
    assert answer(file, "retry", "--failed", "--type", "kick-user") == {"retried": 0}
    assert answer(file, "retry", "--failed") == {"retried": 1}
    assert answer(file, "show", "m0")["action"]["state"] == "queued"


def test_what_can_not_be_changed_is_said_of_each_and_exits_1(file: Path) -> None:
    cancelled = called(file, "cancel", "m1", "nonsense", "join")
    retried = called(file, "retry", "m1", "m0")

    assert (cancelled.exit_code, retried.exit_code) == (1, 1)
    assert [each["outcome"] for each in json.loads(cancelled.stdout)] == [
        "too_late",
        "there is no action nonsense",
        "cancelled",
    ]
    assert [each["outcome"] for each in json.loads(retried.stdout)] == ["m1 is done", "queued"]


def test_what_hangs_at_a_process_that_does_not_answer_is_said_to(tmp_path: Path) -> None:
    file = tmp_path / "queue.db"
    outcomes: list[Any] = []

    async def hang() -> None:
        async with open_queue(file, QueueSettings(stop_grace_s=0.01)) as queue:
            begun = anyio.Event()

            async def deliver(_: object) -> None:
                begun.set()
                await anyio.sleep_forever()

            queue.handle("send-message", deliver)
            await queue.enqueue(SendMessage(room_id="a", content=""), client_id="m")
            await begun.wait()
            runner = queue._engine.runner
            runner.heed = runner.look = lambda: None  # type: ignore[method-assign] # it hears nothing
            outcomes.append(await anyio.to_thread.run_sync(called, file, "cancel", "m", "--wait", "0.2"))

    anyio.run(hang)
    (done,) = outcomes
    assert done.exit_code == 1
    assert "nobody has answered" in json.loads(done.stdout)[0]["outcome"]


def test_events_are_followed_from_any_number_in_a_pipe(file: Path) -> None:
    done = called(file, "tail", "--after", "0", "--count", "3", "--key", "messages//a")
    later = called(file, "tail", "--after", "3", "--count", "1", "--type", "send-message")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["seq"], each["event"], each["client_id"]) for each in lines] == [
        (1, "action.queued", "m0"),
        (2, "action.queued", "m1"),
        (3, "action.queued", "m2"),
    ]
    assert "payload" not in lines[0]
    assert json.loads(later.stdout)["event"] == "action.calling"


def test_on_a_terminal_there_is_a_live_view(file: Path) -> None:
    code, seen, _ = run_on_terminal("queue", file, "tail", "--after", "0", "--count", "9", stream="stdout")

    assert code == 0
    assert "pending 2" in seen
    assert "action.done" in seen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands in this process take the pipe for a terminal, a wide one."""
    monkeypatch.setattr("dataserver.cli.queue.is_terminal", lambda: True)
    monkeypatch.setattr("dataserver.cli.queue_changes.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "240")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_there_are_tables_and_words(file: Path) -> None:
    counted = called(file, "stats")
    listed = called(file, "list", "--limit", "1")
    shown = called(file, "show", "config")
    retried = called(file, "retry", "--failed")
    cancelled = called(file, "cancel", "config")

    assert "│ send-message" in counted.stdout
    assert "403: no right" in listed.stdout
    assert "--after 1 goes on" in listed.stderr
    assert '"dark":true' in shown.stdout
    assert "it waits until its time" in shown.stderr
    assert (retried.stdout, retried.stderr) == ("", "1 actions are tried again\n")
    assert (cancelled.stdout, cancelled.stderr) == ("", "config: cancelled\n")


@pytest.mark.parametrize("command", ["stats", "list", "export", "tail", "show x", "retry x", "cancel x"])
@pytest.mark.parametrize("content", [b"no database at all, but some text of some length\n" * 100, b""])
def test_what_is_no_queue_is_said_to_be_none_and_stays_as_it_is(
    tmp_path: Path, command: str, content: bytes
) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(content)
    refused = called(other, *command.split())

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "other.db is" in refused.stderr
    assert other.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_another_database_is_no_queue_and_stays_as_it_is(tmp_path: Path) -> None:
    async def make_another() -> None:
        async with open_storage(tmp_path / "shop.db", StorageSettings(kind="thread", worker_count=1)) as shop:
            await shop.execute("CREATE TABLE goods (id INTEGER PRIMARY KEY)")

    anyio.run(make_another)
    other = tmp_path / "shop.db"
    before = other.read_bytes()
    refused = called(other, "retry", "x")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "shop.db is a database, and no queue" in refused.stderr
    assert other.read_bytes() == before


@pytest.mark.skipif(hasattr(apsw, "mc_version"), reason="this build can encrypt")
def test_a_key_that_is_of_no_use_here_is_told_and_one_for_another_file_is_not_asked_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a key does is told in `tests/encrypted/test_queue_command.py`, for which another build is needed."""
    monkeypatch.setenv("DATASERVER_KEYS", "other.db=file:a.key,*=file:a.key")
    assert answer(file, "stats")["all"]["total"] == 5
    monkeypatch.setenv("DATASERVER_KEYS", "queue.db=file:a.key")
    refused = called(file, "stats")
    assert (refused.exit_code, "apsw-sqlite3mc" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "nonsense",
        "retry",
        "retry x --failed",
        "retry x --type t",
        "cancel",
        "list --status nonsense",
    ],
)
def test_wrong_use_exits_2(tmp_path: Path, arguments: str) -> None:
    there = tmp_path / "there.db"
    there.touch()
    refused = called(there, *arguments.split())
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "Usage" in refused.stderr


def test_a_file_that_is_not_there_is_wrong_use_and_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    refused = called(missing, "stats")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "missing.db" in refused.stderr
    assert not missing.exists()


def test_a_command_that_fails_says_so_in_one_line(file: Path) -> None:
    refused = called(file, "show", "nonsense")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "Error: there is no action nonsense\n"


def test_ctrl_c_ends_a_tail_well(file: Path) -> None:
    with start("queue", file, "tail", "--after", "0") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert first["event"] == "action.queued"
