"""A transaction of very many rows keeps more pages in memory, and no other one does."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.sqlite.writer_connection import WIDE_CACHE_BYTES
from tests.support.writing import WriterBench

if TYPE_CHECKING:
    from pathlib import Path

_PAGES_KEPT = "tests.support.sent_functions:pages_kept"


@pytest.mark.parametrize("fails", [0, 1])
def test_pages_are_kept_until_the_transaction_ends_however_it_does(tmp_path: Path, fails: int) -> None:
    with closing(WriterBench(tmp_path)) as bench:
        usual = bench.own("PRAGMA cache_size")
        (kept,) = bench.run(bench.call("function", _PAGES_KEPT, [fails]))
        assert isinstance(kept, RuntimeError) if fails else kept == -WIDE_CACHE_BYTES // 1024
        assert bench.own("PRAGMA cache_size") == usual


def test_a_transaction_that_is_held_open_keeps_them_from_one_call_to_the_next(tmp_path: Path) -> None:
    with closing(WriterBench(tmp_path)) as bench:
        usual = bench.own("PRAGMA cache_size")
        bench.done(bench.call("transaction_begin", 1))
        bench.done(bench.call("transaction_function", 1, _PAGES_KEPT, [0]))
        assert bench.own("PRAGMA cache_size") == -WIDE_CACHE_BYTES // 1024
        bench.done(bench.call("transaction_commit", 1))
        assert bench.own("PRAGMA cache_size") == usual
