from __future__ import annotations

import threading
import time

import pytest

from storage import UnsupportedSqlite
from storage.sqlite.connection import (
    ConnectionSettings,
    Deadline,
    OnEventLoop,
    refuse_event_loop,
    require_supported,
    runs_event_loop,
)
from storage.sqlite.connection_cache import ConnectionCache


class Door:
    """What a cache holds here: knows whether it is closed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0", "2.8.17", "3.51"])
def test_a_library_that_corrupts_files_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedSqlite, match=version):
        require_supported(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.54.1", "4.0.0", ""])
def test_a_library_without_the_bug_is_taken(version: str) -> None:
    require_supported(version)


async def test_an_event_loop_is_seen_on_its_own_thread_only() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(runs_event_loop()))
    thread.start()
    thread.join()
    assert found == [False]
    assert runs_event_loop()
    with pytest.raises(OnEventLoop):
        refuse_event_loop(ConnectionSettings())
    refuse_event_loop(ConnectionSettings(allow_on_loop=True))


def test_no_event_loop_is_seen_where_there_is_none() -> None:
    assert not runs_event_loop()


def test_a_deadline_that_passed_stops_and_none_does_not() -> None:
    deadline = Deadline()
    assert not deadline()
    deadline.at = time.monotonic() + 60
    assert not deadline()
    deadline.at = time.monotonic() - 1
    assert deadline()
    deadline.at = 0.0
    deadline.stopped = True
    assert deadline()


def test_the_connection_unused_for_longest_is_closed_for_another() -> None:
    cache: ConnectionCache[Door] = ConnectionCache(2, Door)
    first, second = cache.get("a"), cache.get("b")
    assert cache.get("a") is first
    third = cache.get("c")
    assert (first.is_closed, second.is_closed, third.is_closed) == (False, True, False)
    assert len(cache) == 2
    cache.close()
    assert first.is_closed
    assert third.is_closed
    assert len(cache) == 0


def test_what_cannot_be_opened_takes_no_place() -> None:
    def refuse(path: str) -> Door:
        raise FileNotFoundError(path)

    cache = ConnectionCache(1, refuse)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            cache.get("a")
    assert len(cache) == 0


def test_a_connection_does_not_run_on_another_thread_than_its_own() -> None:
    cache: ConnectionCache[Door] = ConnectionCache(2, Door)
    cache.get("a")
    refused: list[bool] = []

    def trespass() -> None:
        try:
            cache.get("a")
        except OnEventLoop:
            refused.append(True)

    thread = threading.Thread(target=trespass)
    thread.start()
    thread.join()
    assert refused == [True]
