"""A million messages over threads, processes and forks, without a (key, nonce) twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.sealing_child import heads_of_processes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_million_messages_use_a_million_nonces(tmp_path: Path) -> None:
    heads = heads_of_processes(tmp_path, processes_count=5, threads_count=4, count=50_000)
    assert len(heads) == len(set(heads)) == 1_000_000
