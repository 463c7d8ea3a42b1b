"""A board of values: the same for its owner and over a link; bounded; and no guest can harm the others."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from workers.shared import board_owner, lending, native, page
from workers.shared import cells as cells_module
from workers.shared.board import SharedBoard
from workers.shared.board_messages import MAX_ASK_BYTES, Get, Hello, Listen, Put, encoder, framed
from workers.shared.board_table import MAX_NAME_CHARS, MAX_NAMES_COUNT, MAX_VALUE_BYTES
from workers.shared.counter import SharedCounter
from workers.shared.ears import PollingEar, ear_on
from workers.shared.errors import OwnerLost, SharedClosed, SharedRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def nobody_waits_for_the_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that nobody wakes hangs, and fails, instead of being saved by the safety net."""
    monkeypatch.setattr(cells_module, "NET_S", 10 * LIMIT_S)


@pytest.fixture
def owner() -> Iterator[SharedBoard]:
    with SharedBoard({"name": "value"}) as board:
        yield board


@pytest.fixture(params=["owner", "link"])
def board(request: pytest.FixtureRequest, owner: SharedBoard) -> Iterator[SharedBoard]:
    """The board as its owner has it, and as another process does."""
    if request.param == "owner":
        yield owner
        return
    with SharedBoard.from_buffer(owner.get_buffer()) as link:
        yield link


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Use a link as workers do; on an event loop it would block."""
    return await anyio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True)


def test_values_are_kept_as_they_were_set(board: SharedBoard, owner: SharedBoard) -> None:
    for value in (None, True, -5, 2.5, "text", b"bytes", [1, [2]], {"a": {"b": 1}}):
        board.set("kept", value)
        assert (board.get("kept"), owner.get("kept")) == (value, value)
        assert type(board.get("kept")) is type(value)
    assert board.get("never set") is None
    assert board.get("never set", 7) == 7


def test_a_value_is_swapped_only_from_what_was_expected_and_of_its_type(board: SharedBoard) -> None:
    assert not board.compare_and_swap("name", "other", "new")
    assert board.compare_and_swap("name", "value", 1)
    assert not board.compare_and_swap("name", 1.0, "new")
    assert not board.compare_and_swap("name", True, "new")
    assert board.compare_and_swap("name", 1, [1])
    assert not board.compare_and_swap("never set", None, 1)
    assert board.get("never set") is None


def test_whole_numbers_are_added_to_and_nothing_else_is(board: SharedBoard) -> None:
    assert [board.add("count", 5), board.add("count", -7)] == [5, -2]
    for wrong in ("text", True, 2.0):
        board.set("wrong", wrong)
        with pytest.raises(SharedRefused, match="no whole number"):
            board.add("wrong", 1)
        assert board.get("wrong") is wrong or board.get("wrong") == wrong
    board.set("count", 2**63 - 1)
    with pytest.raises(OverflowError):
        board.add("count", 1)


def test_names_and_sizes_are_bounded(board: SharedBoard) -> None:
    for size in (MAX_VALUE_BYTES, 2 * MAX_ASK_BYTES):
        with pytest.raises(SharedRefused, match="bytes"):
            board.set("large", bytes(size))
    with pytest.raises(SharedRefused, match="characters"):
        board.set("n" * (MAX_NAME_CHARS + 1), 1)
    board.set("large", bytes(MAX_VALUE_BYTES - 8))
    for number in range(MAX_NAMES_COUNT - 2):
        board.set(f"name {number}", number)
    with pytest.raises(SharedRefused, match="names"):
        board.set("one more", 1)
    board.set("large", 1)
    with pytest.raises(TypeError):
        board.set("large", object())


async def test_a_subscriber_follows_the_names_it_asked_for(owner: SharedBoard) -> None:
    with anyio.fail_after(LIMIT_S):
        async with owner.subscribe("name", "count", min_interval_s=0.0) as changes:
            assert await anext(changes) == {"name": "value"}
            owner.set("other", 1)
            owner.add("count", 2)
            assert await anext(changes) == {"name": "value", "count": 2}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_subscriber_in_another_process_follows_them_too(owner: SharedBoard, loop: str) -> None:
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "tests.support.shared_child", "follow", owner.get_buffer().hex(), loop],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.stdout.split() == ["value", "last"], ran.stderr
    assert owner.get("name") == "last"


async def test_who_waits_for_a_fact_is_woken_when_it_comes_true(
    board: SharedBoard, owner: SharedBoard
) -> None:
    with anyio.fail_after(LIMIT_S):
        results: list[Any] = []

        async def wait() -> None:
            results.append(await in_thread(partial(board.wait, lambda: board.get("name") == "new")))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await in_thread(owner.set, "other", 1)
            await in_thread(owner.set, "name", "new")
        assert results == [True]
        assert not await in_thread(partial(board.wait, lambda: False, 0.01))
        owner.set("name", "value")
        async with anyio.create_task_group() as group:
            group.start_soon(owner.until, lambda: owner.get("name") == "newest")
            await in_thread(board.set, "name", "newest")


def linked_to(owner: SharedBoard) -> tuple[socket.socket, bytes]:
    _, path, token = msgspec.msgpack.decode(owner.get_buffer(), type=tuple[str, str, bytes])
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT_S)
    sock.connect(path)
    return sock, token


@pytest.mark.parametrize(
    "said",
    [
        framed(Get(["name"])),
        framed(Hello(b"a guess")),
        b"nonsense",
        (MAX_ASK_BYTES + 1).to_bytes(4, "big") + b"x" * 8,
        b"",
    ],
    ids=["no hello", "guess", "nonsense", "too long", "nothing"],
)
def test_a_stranger_is_cut_off_and_the_others_are_served(owner: SharedBoard, said: bytes) -> None:
    with SharedBoard.from_buffer(owner.get_buffer()) as link:
        sock, _ = linked_to(owner)
        with sock:
            sock.sendall(said or b"\x00")
            if not said:
                sock.shutdown(socket.SHUT_WR)
            assert sock.recv(64) == b""
        assert link.get("name") == "value"


def test_a_guest_that_never_reads_holds_up_nobody(owner: SharedBoard) -> None:
    large = bytes(MAX_VALUE_BYTES - 8)
    owner.set("large", large)
    with SharedBoard.from_buffer(owner.get_buffer()) as link:
        sock, token = linked_to(owner)
        with sock:
            sock.sendall(framed(Hello(token)) + framed(Listen()))
            sock.sendall(framed(Put("by a guest", msgspec.Raw(encoder.encode(1)))))
            assert link.wait(lambda: link.get("by a guest") == 1, LIMIT_S)

            def ask_on() -> None:
                for _ in range(1_000):
                    sock.sendall(framed(Get(["large"])))
                    link.add("count", 1)

            with pytest.raises(ConnectionError):  # it is cut once too much waits for it
                ask_on()
        assert 10 < link.get("count") < 1_000


def test_more_links_than_there_may_be_are_refused(
    owner: SharedBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_owner, "MAX_LINKS_COUNT", 1)
    with SharedBoard.from_buffer(owner.get_buffer()) as first:
        assert first.get("name") == "value"
        second = SharedBoard.from_buffer(owner.get_buffer())
        with pytest.raises(OwnerLost):
            second.get("name")
        second.close()
        assert first.get("name") == "value"


def test_a_board_is_on_a_path_of_its_own_where_names_are_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with SharedBoard({"name": 1}) as board:
        buffer = board.get_buffer()
        _, path, _ = msgspec.msgpack.decode(buffer, type=tuple[str, str, bytes])
        assert Path(path).exists()
        with SharedBoard.from_buffer(buffer) as link:
            assert link.get("name") == 1
            handed_on = SharedBoard.from_buffer(link.get_buffer())
            assert handed_on.get("name") == 1
            handed_on.close()


def test_what_is_closed_refuses_everything(board: SharedBoard) -> None:
    board.close()
    board.close()
    for use in (board.get_buffer, lambda: board.get("name"), board.listener, board.ear):
        with pytest.raises(SharedClosed):
            use()


# -- the page, and how another process comes by it -----------------------------------------------------------------


def test_a_file_that_is_no_page_is_refused() -> None:
    plain = os.memfd_create("plain", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    other, end = os.pipe()
    try:
        os.truncate(plain, page.PAGE_BYTES)
        for fd in (plain, other):
            with pytest.raises(SharedRefused):
                page.Page(fd, 1)
    finally:
        for fd in (plain, other, end):
            os.close(fd)


def test_a_page_can_not_be_taken_from_under_its_users() -> None:
    made = page.Page.create(1, [5], "lock")
    for size in (0, 2 * page.PAGE_BYTES):
        with pytest.raises(OSError, match="not permitted"):
            os.truncate(made.fd, size)
    assert made.words[page.FIRST] == 5


def test_a_lender_answers_only_who_has_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with SharedCounter(3) as counter:
        magic, address, token = msgspec.msgpack.decode(counter.get_buffer(), type=tuple[str, bytes, bytes])
        forged = msgspec.msgpack.encode((magic, address, bytes(len(token))))
        with pytest.raises(SharedRefused, match="closed"):
            SharedCounter.from_buffer(forged)
        monkeypatch.setattr(lending, "_lender", lending.Lender())  # as another process, which lends nothing
        with SharedCounter.from_buffer(counter.get_buffer()) as borrowed:
            assert borrowed.add() == 4
        assert counter.value == 4


def test_a_lender_that_is_gone_or_silent_is_told_apart_from_one_that_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lending, "ANSWER_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind("")
        address = silent.getsockname()
        buffer = msgspec.msgpack.encode(("page1", address, bytes(16)))
        with pytest.raises(OwnerLost):
            SharedCounter.from_buffer(buffer)
    with pytest.raises(OwnerLost):
        SharedCounter.from_buffer(buffer)


async def test_a_loop_that_gets_no_inotify_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    inotify = native.Inotify()

    def refuse(*_: Any) -> int:
        raise OSError("too many")

    monkeypatch.setattr(inotify, "open", refuse)
    with ear_on(inotify, 0) as ear:
        assert isinstance(ear, PollingEar)
    monkeypatch.undo()
    monkeypatch.setattr(inotify, "watch", refuse)
    with ear_on(inotify, 0) as ear, anyio.fail_after(LIMIT_S):
        await ear.heard(0.001)
        assert isinstance(ear, PollingEar)


def test_a_machine_without_what_is_looked_for_does_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    native.native.cache_clear()
    try:
        monkeypatch.setattr(platform, "system", lambda: "Elsewhere")
        monkeypatch.setattr(platform, "machine", lambda: "pdp11")
        found = native.native()
        assert (found.futex, found.inotify) == (None, None)
        assert found.atomics is not None
        assert not found.atomics.has_ordered_loads
        native.native.cache_clear()
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        assert native.native().futex is None
    finally:
        native.native.cache_clear()


def test_loads_that_must_be_ordered_are_made_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    atomics = native.native().atomics
    assert atomics is not None
    monkeypatch.setattr(atomics, "has_ordered_loads", False)
    with SharedCounter(5, backing="atomics") as counter:
        assert (counter.add(2), counter.value) == (7, 7)
