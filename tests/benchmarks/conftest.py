"""The run of the benchmark as pytest sees it: its option, its files, and the one table at its end."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks import machine, rows_file, table
from tests.benchmarks.bench import Bench
from tests.benchmarks.sizes import FULL, QUICK
from tests.benchmarks.web import load

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDER = (
    "test_point_reads",
    "test_json_answers",
    "test_scans",
    "test_neighbours",
    "test_writes",
    "test_growth",
    "test_live",
    "test_queue",
    "test_workers",
    "test_files",
    "test_crypto",
    "test_http",
    "test_chat",
    "test_logs",
)
_BENCH = pytest.StashKey[Bench]()
_MACHINE = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="small sizes: shows that the table prints, measures nothing"
    )


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Leave the guard of the tests out: nothing here runs on a loop of this process."""


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Iterator[Bench]:
    sizes = QUICK if pytestconfig.getoption("--quick") else FULL
    folder = pytestconfig.rootpath / ".benchmarks" / f"files-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        pytestconfig.stash[_MACHINE] = machine.facts(
            folder, load_generator=f"HTTP by {load.generator(sizes.web_seconds)}"
        )
        bench = Bench(
            sizes=sizes,
            folder=folder,
            make_source=partial(rows_file.create, item_count=sizes.item_count),
            fdatasync_us=machine.fdatasync_us(folder),
        )
        pytestconfig.stash[_BENCH] = bench
        try:
            yield bench
        finally:
            bench.end_candidates()
    finally:
        shutil.rmtree(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests into the order of the table."""
    items.sort(key=lambda item: _ORDER.index(item.path.stem))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    bench = config.stash.get(_BENCH, None)
    if bench is not None and bench.rows:
        terminalreporter.ensure_newline()
        terminalreporter.write(table.render(config.stash[_MACHINE], bench.rows))


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:  # noqa: ARG001 - the hook's own signature
    bench = config.stash.get(_BENCH, None)
    if bench is not None:
        output_json["machine"] = config.stash[_MACHINE]
        output_json["table"] = [asdict(row) | {"verdict": row.verdict} for row in bench.rows]
