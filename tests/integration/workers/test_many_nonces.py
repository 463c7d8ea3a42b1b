"""Threads, processes and forks that seal with one keyring never use one (key, nonce) twice; the large form is in `make crash`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.sealing_child import heads_of_processes

if TYPE_CHECKING:
    from pathlib import Path


def test_no_nonce_is_used_twice_by_threads_processes_and_forks(tmp_path: Path) -> None:
    heads = heads_of_processes(tmp_path, processes_count=2, threads_count=3, count=2_000)
    assert len(heads) == len(set(heads)) == 2 * 3 * 2_000
