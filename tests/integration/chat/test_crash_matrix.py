"""The crash matrix: its server keeps its one promise whatever else it does, and a run says what happened."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from typing_extensions import override

from chat.errors import AnswerLost, AuthExpired, DeliveryError, Permanent, RateLimited, Transient, Unreachable
from chat.queue.handlers import Delivery
from chat.testing.crash_matrix import bad_server, sender, server_log, wire
from chat.testing.crash_matrix.audit import audited
from chat.testing.crash_matrix.evidence import gathered
from chat.testing.crash_matrix.line import Line, open_line
from chat.testing.crash_matrix.mischief import GOOD, Mischief, Weather
from chat.testing.crash_matrix.plan import ACCOUNTS_COUNT, Plan, Planned, accounts, is_refused
from chat.testing.crash_matrix.server_log import Record
from tests.support.waiting import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACTIONS = list(Plan(action_count=200, process_count=1).all())
FINE = next(action for action in ACTIONS if action.kind == "ordered")
OTHER = next(action for action in ACTIONS if action.kind == "ordered" and action is not FINE)
BAD = next(action for action in ACTIONS if action.kind == "refused" and is_refused(action.name))


@pytest.fixture(autouse=True)
def folder(tmp_path_factory: Any, monkeypatch: Any) -> Path:
    """Return where a run has its files; its name is short, since sockets are in it."""
    place: Path = tmp_path_factory.mktemp("m")
    monkeypatch.chdir(place)
    return place


class Skies(Weather):
    """Weather that is as the test says."""

    def __init__(self) -> None:
        super().__init__(Random(1), accounts(), 0.0)  # noqa: S311 - no secret
        self.statuses: deque[int] = deque()

    @override
    def at(self, now_s: float, account: str) -> int:
        if account in self.expired:
            return wire.NOT_LOGGED_IN
        return self.statuses.popleft() if self.statuses else wire.OK


class Bench:
    """A bad server in this process that does what it is told, and a line to it."""

    def __init__(self, line: Line, skies: Skies, mischiefs: deque[Mischief]) -> None:
        self.line = line
        self.skies = skies
        self.mischiefs = mischiefs

    async def call(self, action: Planned = FINE, *, client_id: str | None = None) -> Any:
        with anyio.fail_after(LIMIT_S):
            return await self.line.deliver(delivery(action, client_id))

    async def ask(self, action: Planned = FINE) -> Any:
        with anyio.fail_after(LIMIT_S):
            return await self.line.ask(delivery(action))


def delivery(action: Planned, client_id: str | None = None) -> Delivery:
    return Delivery(client_id or action.name, action.kind, action.payload, action.account, 1, 0)


@asynccontextmanager
async def serving(*mischiefs: Mischief, sabotage: str | None = None) -> AsyncIterator[Bench]:
    """Serve in the present folder; the first calls meet `mischiefs`."""
    skies, script = Skies(), deque(mischiefs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bad_server, "drawn", lambda _: script.popleft() if script else GOOD)
        patch.setattr(bad_server, "Weather", lambda *_: skies)
        async with anyio.create_task_group() as group, open_line("tester", sabotage=sabotage) as line:
            group.start_soon(bad_server.serve, "seed", True)
            await line.insist("progress")
            yield Bench(line, skies, script)
            group.cancel_scope.cancel()


async def records() -> list[Record]:
    return await anyio.to_thread.run_sync(lambda: list(server_log.records(Path(server_log.PATH))))


async def seen() -> list[str]:
    """Return what the server wrote down."""
    return [record.what for record in await records()]


async def test_an_action_is_done_once_however_often_it_is_called() -> None:
    async with serving() as bench:
        assert await bench.ask() is None
        answers = [await bench.call(), await bench.call(), await bench.ask()]
        assert answers == [{"seq": 1}] * 3
        assert await seen() == ["unknown", "effect", "duplicate", "known"]
        assert await bench.line.insist("progress") == 1


async def test_what_was_done_is_known_after_the_server_was_killed() -> None:
    async with serving() as bench:
        await bench.call()
        with pytest.raises(Permanent):
            await bench.call(BAD)
    async with serving() as bench:
        assert await bench.call() == {"seq": 1}
        with pytest.raises(Permanent):
            await bench.ask(BAD)
        assert await bench.line.insist("progress") == 2


async def test_a_client_id_with_another_action_is_a_conflict() -> None:
    async with serving() as bench:
        await bench.call()
        with pytest.raises(Permanent) as refused:
            await bench.call(OTHER, client_id=FINE.name)
        assert (refused.value.status, await seen()) == (wire.CONFLICTING, ["effect", "conflict"])


@pytest.mark.parametrize(
    ("mischief", "error", "expected"),
    [
        (Mischief(hangs_up=True), AnswerLost, ["effect"]),
        (Mischief(arrives=False, hangs_up=True), AnswerLost, ["lost"]),
        (Mischief(breaks_after=True), Transient, ["effect"]),
        (Mischief(answers_count=0), TimeoutError, ["effect"]),
        (Mischief(arrives=False), TimeoutError, ["lost"]),
    ],
    ids=["hangs up", "hangs up before", "breaks after", "answer lost", "request lost"],
)
async def test_mischief_is_what_it_says(
    mischief: Mischief, error: type[Exception], expected: list[str]
) -> None:
    async with serving(mischief) as bench:
        with pytest.raises(error), anyio.fail_after(0.2 if error is TimeoutError else LIMIT_S):
            await bench.line.deliver(delivery(FINE))
        assert await seen() == expected
        assert await bench.call() == {"seq": 1}


async def test_what_comes_twice_or_late_changes_nothing() -> None:
    async with serving(
        Mischief(arrives_twice=True, answers_count=2), Mischief(before_s=0.01, after_s=0.01)
    ) as bench:
        assert [await bench.call(), await bench.call(OTHER), await bench.call()] == [
            {"seq": 1},
            {"seq": 2},
            {"seq": 1},
        ]
        assert [(record.what, record.is_echo) for record in await records()] == [
            ("effect", False),
            ("duplicate", True),
            ("effect", False),
            ("duplicate", False),
        ]


@pytest.mark.parametrize(("status", "error"), [(wire.BROKEN, Transient), (wire.TOO_MANY, RateLimited)])
async def test_in_bad_weather_nothing_is_done_and_nothing_answered(
    status: int, error: type[DeliveryError]
) -> None:
    async with serving() as bench:
        bench.skies.statuses += [status, status]
        for question in (bench.call, bench.ask):
            with pytest.raises(error):
                await question()
        assert await seen() == ["error"]


async def test_a_session_that_ended_begins_again_with_a_login() -> None:
    async with serving() as bench:
        bench.skies.expired.add(FINE.account)
        with pytest.raises(AuthExpired):
            await bench.call()
        await bench.line.insist("log in", account=FINE.account)
        assert await bench.call() == {"seq": 1}
        bench.skies.expired.add(FINE.account)
        await bench.line.insist("be fair")
        assert await bench.call() == {"seq": 1}


async def test_without_a_server_there_is_no_contact() -> None:
    async with open_line("tester") as line:
        with pytest.raises(Unreachable):
            await line.deliver(delivery(FINE))


async def test_what_a_socket_does_not_take_at_once_is_sent_in_pieces() -> None:
    one, other = map(wire.Channel, socket.socketpair())
    data = b"x" * 3_000_000
    received = b""
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(one.send, data)
            while len(received) < len(data):
                received += await other.receive()
    assert received == data
    one.close()
    other.close()


async def test_a_connection_that_broke_has_ended() -> None:
    one, other = map(wire.Channel, socket.socketpair())
    await one.send(b"what nobody reads")
    other.close()
    assert await one.receive() == b""
    outgoing = wire.Outgoing()
    outgoing.put(wire.Reply(number=1))
    with anyio.fail_after(LIMIT_S):
        await outgoing.run(one)
    one.hang_up()
    one.close()


async def test_a_transport_broken_on_purpose_doubles_loses_or_runs_ahead() -> None:
    async with serving(sabotage="ids") as bench:
        assert [await bench.call(), await bench.call()] == [{"seq": 1}, {"seq": 2}]
    async with serving(sabotage="calls") as bench:
        bench.skies.statuses.append(wire.BROKEN)
        assert await bench.call(OTHER) == {}
        await until_seen(3)
    async with serving(Mischief(answers_count=0), sabotage="order") as bench:
        bench.skies.statuses += [wire.OK, wire.BROKEN]
        assert await bench.call(OTHER) == {}
        await until_seen(6)
    assert await seen() == ["effect", "effect", "error", "effect", "error", "duplicate"]


async def until_seen(count: int) -> None:
    with anyio.fail_after(LIMIT_S):
        while len(await seen()) < count:  # noqa: ASYNC110 - it is in a file
            await anyio.sleep(0.01)


def test_a_run_without_faults_leaves_a_clean_file() -> None:
    plan = Plan(action_count=80, process_count=1, is_rough=False)

    async def run() -> None:
        with anyio.fail_after(LIMIT_S):
            async with anyio.create_task_group() as servers:
                servers.start_soon(bad_server.serve, "seed", False)
                async with anyio.create_task_group() as senders:
                    for who in plan.senders():
                        senders.start_soon(sender.live, sender.Run(plan=plan, sender=who, number=1))
                    await until_seen(80 + ACCOUNTS_COUNT)  # the follower logs in
                    await anyio.Path(sender.CALM).touch()
                servers.cancel_scope.cancel()
        findings = audited(plan, await gathered(plan))
        assert findings.wrong == dict.fromkeys(findings.wrong, 0)
        assert (findings.seen["calls"], findings.seen["actions acknowledged"]) == (80, 80)

    anyio.run(run)


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own code
        words,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )


SCRIPTED = """
from collections import deque
from chat.testing.crash_matrix import __main__, fates
from chat.testing.crash_matrix.fates import SPARED, Fate

ends = deque([
    Fate(kind="crash", step="calling", nth=3, after_s=20.0),
    Fate(kind="stop", after_s=0.1),
    Fate(kind="freeze", after_s=0.1, frozen_s=0.05, lives_on_s=0.1),
    Fate(kind="kill", after_s=0.1),
    Fate(kind="crash", step="answered", nth=100_000, after_s=0.1),
])
fates.drawn = lambda *_, delivers, **__: ends.popleft() if delivers and ends else SPARED
__main__.main()
"""


def test_a_run_among_kills_is_clean_and_leaves_nothing(folder: Path) -> None:
    arguments = ["--actions", "300", "--processes", "1", "--seed", "3", "--limit-s", "45", "--json"]
    run = command(sys.executable, "-c", SCRIPTED, *arguments, folder=folder)

    assert run.returncode == 0, run.stderr + run.stdout
    report = json.loads(run.stdout)
    assert (report["is_clean"], report["wrong"]) == (True, dict.fromkeys(report["wrong"], 0))
    assert report["seen"]["actions acknowledged"] == 300
    assert report["kills"]["calling"] == 1
    assert list(folder.iterdir()) == []


def test_a_wrong_call_of_the_tool_is_told(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "of something").touch()
    for arguments, said in (
        (["--processes", "0"], "at least 1 process"),
        (["--folder", str(folder)], "is not empty"),
    ):
        run = command(sys.executable, "-m", "chat.testing.crash_matrix", *arguments, folder=folder)
        assert (run.returncode, said in run.stderr) == (2, True), run.stderr
