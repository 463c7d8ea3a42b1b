from __future__ import annotations

import mmap
import os
import socket
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from anyio import to_thread

from workers import Body, body
from workers.body import spilled
from workers.buffers import Attachments, Output, attach, mapped, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.buffers import Input

BIG = bytes(range(256)) * 4_096


@pytest.fixture(params=["memfd", "unlinked file"])
def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Large buffers as memfds, and as on a system that has none."""
    if request.param != "memfd":
        monkeypatch.delattr(os, "memfd_create")
    yield request.param
    monkeypatch.undo()


def test_an_output_goes_as_the_file_it_was_written_to_trimmed_and_sealed(files: str) -> None:
    with Output(len(BIG), as_file=True) as output:
        output.view[:] = BIG
        output.trim(len(BIG) - 5)
        fd = output.file()
        assert os.fstat(fd).st_ino == os.fstat(output.fd or -1).st_ino
        assert os.fstat(fd).st_size == len(BIG) - 5
        if files == "memfd":
            with pytest.raises(PermissionError):
                os.truncate(fd, 1)
        view = mapped(fd, len(BIG) - 5)
    assert view == BIG[:-5]
    assert isinstance(view.obj, mmap.mmap) == (files == "memfd")


def test_an_output_can_only_be_trimmed_to_less() -> None:
    with Output(10, as_file=False) as output:
        for size in (-1, 11):
            with pytest.raises(ValueError, match="10 bytes"):
                output.trim(size)
        output.view[:] = b"0123456789"
        output.trim(4)
        assert bytes(output.mapped()) == b"0123"
        with pytest.raises(ValueError, match="in memory"):
            output.file()


@pytest.mark.usefixtures("files")
async def test_large_buffers_become_files_small_ones_do_not_and_all_are_given_back() -> None:
    let_go: list[int] = []
    buffers: list[Input] = [b"small", BIG, bytearray(BIG), memoryview(BIG)[::1], b""]
    attachments = Attachments(size_of(buffers), let_go.append)
    await attachments.pack(buffers)
    assert [item if isinstance(item, int) else bytes(item) for item in attachments.items] == [
        b"small", len(BIG), len(BIG), len(BIG), b"",
    ]  # fmt: skip
    fds = list(attachments.fds)
    for fd in fds:
        assert mapped(os.dup(fd), len(BIG)) == BIG
    attachments.close()
    attachments.close()
    assert let_go == [3 * len(BIG) + 5]
    for fd in fds:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


async def test_when_a_file_cannot_be_made_none_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def refuse_the_third() -> int:
        if len(made) == 2:
            raise OSError("no memory")
        made.append(os.memfd_create("test"))
        return made[-1]

    monkeypatch.setattr(body, "memory_file", refuse_the_third)
    attachments = Attachments(0, lambda _: None)
    with pytest.raises(OSError, match="no memory"):
        await attachments.pack([BIG, BIG, BIG])
    attachments.close()
    for fd in made:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


async def test_when_a_later_buffer_is_refused_none_of_the_files_is_left_open() -> None:
    let_go: list[int] = []
    with Body.from_file(spilled(Body((BIG,))), len(BIG)) as body_in_a_file:
        attachments = Attachments(3, let_go.append)
        before = await to_thread.run_sync(os.listdir, "/proc/self/fd")
        with pytest.raises(TypeError, match="contiguous"):
            await attachments.pack([BIG, body_in_a_file, BIG, memoryview(BIG)[::2]])
        attachments.close()
        assert await to_thread.run_sync(os.listdir, "/proc/self/fd") == before
    assert let_go == [3]


async def test_files_keep_the_order_of_their_buffers_whichever_were_files_before() -> None:
    other = BIG[::-1]
    with Body.from_file(spilled(Body((other,))), len(other)) as body_in_a_file:
        attachments = Attachments(0, lambda _: None)
        await attachments.pack([BIG, body_in_a_file, b"small", other, body_in_a_file, BIG])
        assert [bytes(mapped(os.dup(fd), len(BIG))) for fd in attachments.fds] == [
            BIG,
            other,
            other,
            other,
            BIG,
        ]
        attachments.close()


def test_a_file_that_can_shrink_is_read_and_not_mapped() -> None:
    fd = os.memfd_create("test")
    os.write(fd, BIG)
    view = mapped(os.dup(fd), len(BIG))
    os.truncate(fd, 0)
    os.close(fd)
    assert view == BIG


def test_a_file_that_is_shorter_than_it_should_be_is_an_error_and_closed() -> None:
    fd = os.memfd_create("test")
    with pytest.raises(ValueError, match="ends at 0 of 10"):
        mapped(fd, 10)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_socket_where_a_file_should_be_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(OSError, match="Illegal seek"):
        mapped(os.dup(ours.fileno()), 10)


def test_files_are_put_where_the_lengths_are_and_nonsense_is_left_alone() -> None:
    with Body((BIG,)) as whole:
        fds = deque([body.spilled(whole), body.spilled(whole)])
    calls: list[Any] = [
        SimpleNamespace(params=params)
        for params in (None, [b""], [b"", "x", False], [b"", [len(BIG), b"s", True, len(BIG), 7], True])
    ]
    attach(calls, fds)
    buffers = calls[-1].params[1]
    assert [buffers[0], buffers[1], buffers[3]] == [BIG, b"s", BIG]
    assert (buffers[2], buffers[4]) == (True, 7)
    assert not fds


def test_a_closed_body_gives_no_view() -> None:
    empty = Body((BIG,))
    empty.close()
    with pytest.raises(ValueError, match="closed"):
        empty.mapped()


def test_a_worker_in_this_process_sees_the_caller_s_own_bytes_and_cannot_write_them() -> None:
    whole = bytearray(BIG)
    attachments = Attachments(0, lambda _: None)
    attachments.share([whole, Body((BIG,))])
    assert attachments.items[0].obj is whole
    assert attachments.items[1].obj is BIG
    assert attachments.items[0].readonly
