"""Large memory is given back by another thread than the one that drops it."""

from __future__ import annotations

import gc
import threading

import pytest
from typing_extensions import override

from workers.mappings import Mapping


def test_fresh_memory_holds_zeros_and_what_is_written() -> None:
    memory = memoryview(Mapping(-1, 5_000_000))
    assert (memory.nbytes, memory[0], memory[-1]) == (5_000_000, 0, 0)
    memory[-3:] = b"end"
    assert bytes(memory[-4:]) == b"\0end"


@pytest.mark.parametrize(("size", "elsewhere"), [(1 << 20, False), (1 << 23, True)])
def test_only_a_large_mapping_is_closed_by_a_thread_of_its_own(size: int, elsewhere: bool) -> None:
    closed_by: list[int] = []
    closed = threading.Event()

    class Seen(Mapping):
        @override
        def close(self) -> None:
            closed_by.append(threading.get_ident())
            super().close()
            closed.set()

    view = memoryview(Seen(-1, size))
    part = view[10:20]
    del view
    gc.collect()
    assert closed_by == []  # a part is in use still
    del part
    assert closed.wait(10) is True if elsewhere else not closed_by
    assert threading.get_ident() not in closed_by


def test_without_threads_it_is_closed_where_it_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    Mapping(-1, 1 << 23)


def test_a_mapping_that_was_closed_needs_nothing_more() -> None:
    mapping = Mapping(-1, 1 << 23)
    mapping.close()
    del mapping
