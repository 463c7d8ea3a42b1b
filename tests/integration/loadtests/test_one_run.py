from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from loadtests.one_run import Load, admin_token, run_once
from loadtests.plan import WRITTEN_DATABASE
from loadtests.scenarios import SCENARIOS
from loadtests.summary import summarise

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.samples import Run

pytestmark = pytest.mark.timeout(120)

LOAD = Load(seconds=2, visitor_count=20, rate_per_s=100.0, server="uvicorn", workers="thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds one database with names that no path or statement takes as they are."""
    folder = tmp_path_factory.mktemp("data folder")
    (folder / "data").mkdir()
    connection = apsw.Connection(str(folder / "data" / "places.db"))
    connection.execute(
        'CREATE TABLE "small towns" (code TEXT PRIMARY KEY NOT NULL, "in country" TEXT, size INTEGER)'
    )
    connection.execute(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO \"small towns\" SELECT 'a/b,' || i, 'S & M ' || (i % 7), i * 31 % 1000 FROM n"
    )
    connection.close()
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["workers on", "workers off"])
def run(request: pytest.FixtureRequest, folder: Path) -> Run:
    return run_once(folder, admin_token(folder), LOAD, uses_workers=request.param)


def test_every_scenario_gets_its_answers_from_tables_it_has_never_seen(run: Run) -> None:
    summary = summarise(run)
    assert summary.failures == ()
    assert {each.name for each in summary.by_name} <= {scenario.name for scenario in SCENARIOS}
    assert {"point read", "page", "filtered list", "write"} <= {each.name for each in summary.by_name}


def test_the_server_tells_of_its_pool_its_loop_and_its_memory(run: Run) -> None:
    kind = "inline" if run.label == "workers off" else "thread"
    assert f"{kind} readers" in run.pool
    assert all(reading.loop_lag_ms is not None for reading in run.readings)
    assert summarise(run).memory_peak_bytes > 0


def test_the_load_leaves_no_database_behind(run: Run, folder: Path) -> None:
    assert run.answered
    databases = {file.stem for file in (folder / "data").glob("*.db")}
    assert "places" in databases
    assert WRITTEN_DATABASE not in databases
