"""A chat log on its way into the chat, in the process of a command that has the folder for itself."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench import interleaved
from tests.benchmarks.logs import by_import, made_log
from tests.benchmarks.ratios import Row

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench


def test_a_log_is_brought_in(bench: Bench, benchmark: BenchmarkFixture) -> None:
    folder = bench.folder("logs")
    log = folder / "log.jsonl"
    made_log(log, bench.sizes.log_line_count)
    figures = interleaved(
        benchmark,
        {"import": partial(by_import, log, folder / "chat.db")},
        count=min(3, bench.sizes.round_count),
    )["import"]
    for what, key, unit in (
        ("lines a second", "per_s", "/s"),
        ("CPU time a line, all threads", "cpu_us", "us"),
    ):
        bench.add(
            Row(
                group=f"chat: a log of {bench.sizes.log_line_count:,} lines is brought in",
                what=what,
                peer_name="",
                unit=unit,
                better="higher" if key == "per_s" else "lower",
                ours=statistics.median(figure[key] for figure in figures),
                note="goal: 20,000 lines/s" if key == "per_s" else "",
            )
        )
