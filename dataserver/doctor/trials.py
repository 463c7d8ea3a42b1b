"""Each kind of pool on a small database of its own: does it start, read and write here, and how fast."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Literal

import anyio

from dataserver.doctor.diagnosis import PoolTrial
from storage import Database, StorageError, StorageSettings, open_databases
from workers import WorkersError

_KINDS: tuple[Literal["process", "thread", "inline"], ...] = ("process", "thread", "inline")
_FILL = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
INSERT INTO trial SELECT n, 'row ' || n FROM number
"""
_ROW_COUNT = 1_000
_READ_COUNT = 200
_WRITE_COUNT = 20
_LIMIT_S = 30.0


async def try_pools(settings: StorageSettings, folder: Path) -> Sequence[PoolTrial]:
    """Try every kind, on the disk of `folder`."""
    chosen = settings.kind if settings.use_workers else "inline"
    trials = []
    for kind in _KINDS:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as place:
            trials.append(await _tried(kind, settings, Path(place), is_chosen=kind == chosen))
    return trials


async def _tried(
    kind: Literal["process", "thread", "inline"], settings: StorageSettings, place: Path, *, is_chosen: bool
) -> PoolTrial:
    wanted = (
        replace(settings, use_workers=False)
        if kind == "inline"
        else replace(settings, use_workers=True, kind=kind)
    )
    try:
        with anyio.fail_after(_LIMIT_S):
            started = time.perf_counter()
            async with open_databases(place, wanted) as databases:
                database = await databases.create("trial")
                ran_as = databases.statistics().kind
                open_ms = (time.perf_counter() - started) * 1000
                write_ms = await _write_ms(database)
                read_ms = await _read_ms(database)
    except (StorageError, WorkersError, OSError) as error:
        return PoolTrial(kind=kind, is_chosen=is_chosen, failure=f"{type(error).__name__}: {error}")
    except TimeoutError:
        return PoolTrial(kind=kind, is_chosen=is_chosen, failure=f"did not finish in {_LIMIT_S:g} s")
    return PoolTrial(
        kind=kind,
        is_chosen=is_chosen,
        ran_as="" if ran_as == kind else ran_as,
        open_ms=open_ms,
        read_ms=read_ms,
        write_ms=write_ms,
    )


async def _write_ms(database: Database) -> float:
    await database.execute("CREATE TABLE trial (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
    await database.execute(_FILL, [_ROW_COUNT])
    times = []
    for number in range(_WRITE_COUNT):
        started = time.perf_counter()
        await database.execute("UPDATE trial SET text = 'again' WHERE id = ?", [number + 1])
        times.append((time.perf_counter() - started) * 1000)
    return median(times)


async def _read_ms(database: Database) -> float:
    times = []
    for number in range(_READ_COUNT):
        started = time.perf_counter()
        rows = await database.query("SELECT id, text FROM trial WHERE id = ?", [number + 1])
        times.append((time.perf_counter() - started) * 1000)
        if len(rows) != 1:
            raise StorageError(f"a point read gave {len(rows)} rows")
    return median(times)
