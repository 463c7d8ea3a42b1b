from __future__ import annotations

import os

import pytest

from tests.benchmarks.memory import tree_memory

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memfds are Linux's")


def test_a_memfd_that_nobody_mapped_counts_once_however_often_it_is_open() -> None:
    before = tree_memory(os.getpid()).memfd_bytes
    descriptor = os.memfd_create("held")
    twin = os.dup(descriptor)
    try:
        os.write(descriptor, b"x" * 65_536)
        assert tree_memory(os.getpid()).memfd_bytes - before == 65_536
    finally:
        os.close(descriptor)
        os.close(twin)


def test_the_pages_of_a_process_count() -> None:
    before = tree_memory(os.getpid()).pss_bytes
    held = bytearray(os.urandom(32 << 20))
    assert tree_memory(os.getpid()).pss_bytes - before > len(held) // 2


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert tree_memory(2**22 + 1).total_bytes == 0
