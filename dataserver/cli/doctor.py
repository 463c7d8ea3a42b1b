"""`dataserver doctor`: looks, tries, and says what to change."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import anyio
import click
import msgspec

from dataserver.cli.output import is_terminal, write_json, write_table
from dataserver.cli.running import (
    Surroundings,
    failing_in_words,
    folder_options,
    quiet_surroundings,
    say,
    stop_with,
)
from dataserver.doctor.diagnosis import (
    Finding,
    PoolTrial,
    judge_folder,
    judge_library,
    judge_limits,
    judge_pools,
    must_change,
)
from dataserver.doctor.machine import folder_facts, open_file_limit, versions
from dataserver.doctor.trials import try_pools
from storage import library_facts
from workers import self_test


@click.command(name="doctor")
@click.option(
    "--workers", is_flag=True, help="Try each kind of worker instead: ping, hash, AES-GCM, shared state."
)
@folder_options
def command(*, workers: bool, data_dir: Path | None, config: Path | None) -> None:
    """Look at versions, the SQLite library, the data folder's disk and each kind of pool; exit 1 if something must change."""
    around = quiet_surroundings(config, {"server.data_dir": data_dir}, level="error")
    if workers:
        _try_workers()
        return
    with failing_in_words():
        findings = _findings(around)
    if is_terminal():
        write_table(
            [asdict(finding) for finding in findings], columns=["verdict", "topic", "found", "change"]
        )
    else:
        options = list(library_facts().compile_options)
        write_json(
            {
                "ok": not must_change(findings),
                "findings": [asdict(each) for each in findings],
                "settings": dict(around.settings.sources),
                "sqlite_compile_options": options,
            }
        )
    if must_change(findings):
        say("something must change")
        stop_with(1)


def _try_workers() -> None:
    """Show how each kind of worker did; exit 1 if one that runs here does not do what it must."""
    found = anyio.run(self_test)
    if is_terminal():
        columns = ["kind", "name", "outcome", "required", "took_ms", "detail"]
        trials = [
            {**msgspec.structs.asdict(each), "took_ms": round(each.took_ms, 1)} for each in found.trials
        ]
        write_table(trials, columns=columns)
        write_table([msgspec.structs.asdict(found.capabilities)])
    else:
        write_json(found)
    if not found.ok:
        say("a kind of worker does not do what it must")
        stop_with(1)


def _findings(around: Surroundings) -> Sequence[Finding]:
    storage = around.settings.storage
    found = ", ".join(f"{name} {number}" for name, number in versions().items())
    facts = folder_facts(around.folder)
    return [
        Finding(topic="system", found=f"{platform.platform()}, Python {platform.python_version()}"),
        Finding(topic="versions", found=found),
        *judge_library(library_facts()),
        *judge_folder(facts),
        *judge_limits(
            core_count=os.cpu_count() or 1, worker_count=storage.worker_count, open_files=open_file_limit()
        ),
        *judge_pools(
            _trials(around, in_folder=facts.exists and facts.is_writable), use_workers=storage.use_workers
        ),
    ]


def _trials(around: Surroundings, *, in_folder: bool) -> Sequence[PoolTrial]:
    place = around.folder.root if in_folder else Path(tempfile.gettempdir())
    trials: list[PoolTrial] = []

    async def main() -> None:
        trials.extend(await try_pools(around.settings.storage, place))

    anyio.run(main)
    return trials
