"""Large memory is there while somebody has a view of it, and given back by another thread afterwards."""

from __future__ import annotations

import errno
import gc
import os
import sys
from typing import TYPE_CHECKING

import pytest

from workers import mappings
from workers.body import memory_file
from workers.mappings import LARGE_BYTES, close_file, fresh, of_file

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = [300_000, LARGE_BYTES + 5]
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is a plain mmap")


@pytest.fixture
def unmapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Give what is unmapped, as address and length; threads are not started but run here."""
    seen: list[tuple[int, int]] = []

    def run(function: object, arguments: tuple[int, int]) -> None:
        assert callable(function)
        assert function(*arguments) == 0
        seen.append(arguments)

    monkeypatch.setattr("_thread.start_new_thread", run)
    yield seen
    gc.collect()


@pytest.mark.parametrize("size", SIZES)
def test_fresh_memory_holds_zeros_and_then_what_is_written(size: int) -> None:
    memory = fresh(size)
    assert (memory.nbytes, memory.format, memory.readonly) == (size, "B", False)
    assert (memory[0], memory[-1]) == (0, 0)
    memory[-3:] = b"end"
    assert bytes(memory[-4:]) == b"\0end"
    assert memory[: size - 3] == bytes(size - 3)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_seen_as_it_is_and_can_not_be_written(size: int) -> None:
    content = os.urandom(1_000) * (size // 1_000 + 1)
    file = memory_file()
    os.write(file, content[:size])
    view = of_file(file, size)
    os.close(file)
    assert view == content[:size]
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 0


@linux
def test_memory_is_given_back_when_its_last_view_is_gone(unmapped: list[tuple[int, int]]) -> None:
    memory = fresh(LARGE_BYTES)
    part = memory[10:20].toreadonly()
    del memory
    gc.collect()
    assert (unmapped, bytes(part)) == ([], bytes(10))
    del part
    gc.collect()
    ((address, size),) = unmapped
    assert (address % 4_096, size) == (0, LARGE_BYTES)


@linux
def test_without_threads_it_is_given_back_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    given: list[int] = []
    monkeypatch.setattr("_thread.start_new_thread", refuse)

    def munmap(address: int, size: int) -> int:
        given.append(address + size)
        return 0

    mappings._unmap(munmap, 5, 6)
    assert given == [11]


@pytest.mark.parametrize(("size", "elsewhere"), [(1_000, 0), (LARGE_BYTES, 1)])
def test_only_a_large_file_is_closed_by_another_thread(
    monkeypatch: pytest.MonkeyPatch, size: int, elsewhere: int
) -> None:
    asked: list[tuple[object, tuple[int, ...]]] = []
    monkeypatch.setattr("_thread.start_new_thread", lambda *call: asked.append(call))
    file = memory_file()
    close_file(file, size)
    assert len(asked) == elsewhere
    if elsewhere:
        assert asked == [(os.close, (file,))]
        os.close(file)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@linux
def test_a_large_file_is_closed_without_threads_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    file = memory_file()
    close_file(file, LARGE_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@linux
def test_memory_that_can_not_be_had_is_an_error() -> None:
    with pytest.raises(OSError, match="no memory can be mapped") as caught:
        fresh(1 << 60)
    assert caught.value.errno == errno.ENOMEM
    with pytest.raises(OSError, match="no memory can be mapped"):
        of_file(-1, LARGE_BYTES)
