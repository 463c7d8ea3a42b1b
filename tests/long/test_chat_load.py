"""A whole server through a load of the chat: what its event loop does, and how much memory it holds."""

from __future__ import annotations

import pstats
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from dataserver.memory import tree_memory
from loadtests.api import Api
from tests.benchmarks.web import chat_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.web.chat_servers import ChatServer

MB: Final = 1_000_000
MOST_BYTES: Final = 500 * MB
HTTP_SENDERS: Final = 4
HTTP_SENDS: Final = 50
"""Of each."""
ROOT: Final = Path(__file__).resolve().parents[2]
_WORKER_MODULES: Final = f"{ROOT}/storage/sqlite/"
"""What speaks SQLite and makes values, rows or JSON of what it gives."""
_HARMLESS: Final = tuple(f"{_WORKER_MODULES}{name}.py" for name in ("errors", "statements"))
"""Among them: names of errors, and a look at the text of a statement."""
_UNPACKING: Final = f"{ROOT}/storage/row_values.py"
"""What reads the packed rows that a worker sent."""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def with_workers(tmp_path: Path) -> ChatServer:
    return served(tmp_path, "1")


def served(folder: Path, use_workers: str) -> ChatServer:
    server = chat_servers.ours(folder / "data", "uvicorn")
    return replace(server, environment={**server.environment, "USE_SQLITE_WORKERS": use_workers})


def send_over_http(server: ChatServer) -> None:
    """Send from a few clients at once, each message after the one before; raises if one is refused."""

    def send(number: int) -> None:
        api = Api(server.url, server.tokens[number])
        for place in range(HTTP_SENDS):
            api.ask("POST", server.path, {"client_id": f"h{place}", "content": f"hello {place} <@1>"})

    with ThreadPoolExecutor(HTTP_SENDERS) as senders:
        list(senders.map(send, range(HTTP_SENDERS)))


def load(server: ChatServer, *, seconds: float, connection_count: int) -> None:
    """Send over HTTP and WebSockets, and to a room that many follow; raises if anything is refused or lost."""
    send_over_http(server)
    chat_servers.driven(server, "sends", seconds=seconds, connection_count=8, window=8)
    fan_out = chat_servers.driven(
        server, "fan_out", seconds=seconds, connection_count=connection_count, window=4, rate_per_s=0
    )
    assert fan_out["per_s"] > 0


# -- the event loop -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoopProfile:
    """Every function that ran on the thread of the event loop, from the server's first import to its end."""

    calls: Counter[str]
    """By where it is defined: a file, or for what is no Python its description."""
    share_of_unpacking: float
    """Of the time, what reading the rows took that workers had packed."""

    @property
    def of_sqlite(self) -> set[str]:
        """What speaks SQLite: calls of apsw, and of our modules that make them and convert what they give.

        The bodies of classes, which ran when they were imported, are none.
        """
        return {
            place
            for place in self.calls
            if "apsw" in place
            or (
                place.startswith(_WORKER_MODULES)
                and place.rpartition(":")[2].lstrip("_")[:1].islower()
                and not place.startswith(_HARMLESS)
            )
        }


def profiled(server: ChatServer, output: Path) -> LoopProfile:
    """Return what the loop's thread of `server` did through a load: not samples, but all calls."""
    command = [sys.executable, "-m", "cProfile", "-o", str(output), *server.command[1:]]
    with replace(server, command=command) as running:
        running.people()
        load(running, seconds=1.5, connection_count=20)
        assert running.stop() == 0
    found = pstats.Stats(str(output)).stats  # type: ignore[attr-defined]  # typeshed leaves it out
    calls: Counter[str] = Counter()
    unpacking_s = total_s = 0.0
    for (file, _, name), (_, count, own_s, with_called_s, _) in found.items():
        calls[f"{file}:{name}"] += count
        total_s += own_s
        unpacking_s += with_called_s if (file, name) == (_UNPACKING, "unpacked") else 0.0
    return LoopProfile(calls, unpacking_s / total_s)


def test_with_workers_the_event_loop_never_speaks_sqlite(
    with_workers: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = profiled(with_workers, tmp_path / "profile")
    assert profile.calls[f"{ROOT}/chat/domain/sending.py:send"] > HTTP_SENDERS * HTTP_SENDS
    with capsys.disabled():
        print(f"\nunpacking rows: {profile.share_of_unpacking:.2%} of the loop")  # noqa: T201 - a figure for who runs it
    assert profile.of_sqlite == set()


def test_without_workers_the_same_profile_shows_sqlite(tmp_path: Path) -> None:
    profile = profiled(served(tmp_path, "0"), tmp_path / "profile")
    assert any("'execute' of 'apsw.Cursor'" in place for place in profile.of_sqlite), profile.of_sqlite
    assert any(place.startswith(_WORKER_MODULES) for place in profile.of_sqlite)


# -- memory -------------------------------------------------------------------------------------------------------


class Peak:
    """The most that a tree of processes held while it was looked at."""

    def __init__(self) -> None:
        self.pss_bytes = 0
        self.process_count = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Look at a tree of processes ten times a second."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            memory = tree_memory(pid)
            if memory is not None:
                peak.pss_bytes = max(peak.pss_bytes, memory.pss_bytes + memory.memfd_bytes)
                peak.process_count = memory.process_count

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def test_the_server_and_its_workers_stay_within_their_memory_through_the_load(
    with_workers: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with with_workers as running:
        if tree_memory(running.pid) is None:
            pytest.skip("memory can't be known here")
        running.people()
        with watched(running.pid) as peak:
            load(running, seconds=4, connection_count=300)
    with capsys.disabled():
        print(f"\npeak: {peak.pss_bytes / MB:.0f} MB in {peak.process_count} processes")  # noqa: T201 - as above
    assert 0 < peak.pss_bytes < MOST_BYTES
