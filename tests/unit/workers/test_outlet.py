from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from workers.backends.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Iterator


class HandLoop:
    """Watches a socket until it is told that it is writable."""

    def __init__(self) -> None:
        self.writers: dict[int, Callable[[], object]] = {}

    def add_writer(self, fd: int, callback: Callable[[], object]) -> None:
        self.writers[fd] = callback

    def remove_writer(self, fd: int) -> None:
        del self.writers[fd]

    def remove_reader(self, fd: int) -> None:
        """Nobody reads here."""


class Bench:
    """An outlet, its other end, and a loop that is moved by hand."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.loop = HandLoop()
        loop: Any = self.loop
        self.outlet = Outlet(loop, ours)
        self.files: list[int] = []

    def drain(self) -> bytes:
        """Read all there is, letting the outlet go on whenever there is room."""
        came = b""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.theirs, 1 << 20, 16)
            except BlockingIOError:
                if not self.loop.writers:
                    return came
                for callback in list(self.loop.writers.values()):
                    callback()
                continue
            came += data
            self.files += fds


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.outlet.close()
    made.theirs.close()
    for fd in made.files:
        os.close(fd)


def test_what_the_socket_does_not_take_at_once_follows_in_order(bench: Bench) -> None:
    pieces = [bytes([number]) * 300_000 for number in range(5)]
    for piece in pieces:
        bench.outlet.send(piece)
    assert bench.loop.writers
    assert bench.drain() == b"".join(pieces)
    assert not bench.loop.writers
    bench.outlet.send(b"next")
    assert bench.drain() == b"next"


def test_files_go_once_with_their_piece_whenever_it_goes(bench: Bench) -> None:
    with open(os.devnull, "rb") as file:  # noqa: PTH123
        bench.outlet.send(b"a" * 500_000, [file.fileno()])
        bench.outlet.send(b"b" * 500_000, [file.fileno(), file.fileno()])
        bench.outlet.send(b"c")
        assert bench.drain() == b"a" * 500_000 + b"b" * 500_000 + b"c"
    assert len(bench.files) == 3


def test_what_a_worker_that_is_gone_does_not_take_is_dropped(bench: Bench) -> None:
    bench.outlet.send(b"a" * 1_000_000)
    bench.theirs.close()
    for callback in list(bench.loop.writers.values()):
        callback()
    bench.outlet.send(b"b")
    assert not bench.loop.writers


def test_an_outlet_can_be_closed_twice_and_while_it_waits(bench: Bench) -> None:
    bench.outlet.send(b"a" * 1_000_000)
    assert bench.loop.writers
    bench.outlet.close()
    bench.outlet.close()
    assert not bench.loop.writers
    assert bench.outlet.fileno() == -1


def test_a_file_that_can_not_be_sent_yet_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(109, "too many references")  # ETOOMANYREFS: too many files are on their way

    with open(os.devnull, "rb") as file:  # noqa: PTH123
        monkeypatch.setattr(socket, "send_fds", refuse)
        bench.outlet.send(b"a", [file.fileno()])
        assert bench.loop.writers
        monkeypatch.undo()
        assert bench.drain() == b"a"
    assert len(bench.files) == 1
