"""What follows from facts about a machine: each judgement without the broken machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dataserver.doctor.diagnosis import (
    Finding,
    FolderFacts,
    PoolTrial,
    judge_folder,
    judge_library,
    judge_limits,
    judge_pools,
    must_change,
)
from dataserver.doctor.machine import file_system_of
from storage import LibraryFacts

FOLDER = FolderFacts(
    path="/srv/data",
    exists=True,
    is_writable=True,
    is_private=True,
    file_system="ext4",
    free_bytes=10 << 30,
    sync_ms=1.0,
)
LIBRARY = LibraryFacts(
    version="3.54.1",
    source_id="x",
    apsw_version="3.54.1.0",
    compile_options=("THREADSAFE=1", "ENABLE_FTS5"),
    is_supported=True,
    oldest_supported="3.51.3",
    missing_options=(),
)
TRIAL = PoolTrial(kind="process", is_chosen=True, open_ms=90.0, read_ms=0.1, write_ms=0.5)

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /run rw shared:4 - tmpfs tmpfs rw
41 22 0:40 / /mnt/big\040disk rw shared:9 - nfs4 host:/x rw
42 22 0:41 / /mnt rw - xfs /dev/sdb rw
""".strip().splitlines()


def verdicts(findings: list[Finding]) -> dict[str, str]:
    assert all(
        bool(finding.change) == (finding.verdict != "ok")
        for finding in findings
        if "pool" not in finding.topic
    )
    return {finding.topic: finding.verdict for finding in findings if finding.verdict != "ok"}


def test_a_sound_machine_needs_no_change() -> None:
    findings = [
        *judge_library(LIBRARY),
        *judge_folder(FOLDER),
        *judge_limits(core_count=2, worker_count=2, open_files=65_536),
        *judge_pools([TRIAL], use_workers=True),
    ]
    assert verdicts(findings) == {}
    assert not must_change(findings)


def test_an_old_or_maimed_sqlite_must_change() -> None:
    old = replace(LIBRARY, version="3.40.1", is_supported=False)
    assert verdicts(list(judge_library(old))) == {"SQLite": "must"}
    maimed = replace(LIBRARY, missing_options=("ENABLE_FTS5",))
    assert verdicts(list(judge_library(maimed))) == {"SQLite compile options": "must"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"is_writable": False}, {"data folder": "must"}),
        ({"is_private": False}, {"data folder": "advice"}),
        ({"file_system": "nfs4"}, {"file system": "must"}),
        ({"file_system": "fuse.sshfs"}, {"file system": "must"}),
        ({"file_system": "tmpfs"}, {"file system": "advice"}),
        ({"file_system": "overlay"}, {"file system": "advice"}),
        ({"file_system": ""}, {}),
        ({"free_bytes": 1 << 20}, {"free space": "must"}),
        ({"free_bytes": 500 << 20}, {"free space": "advice"}),
        ({"sync_ms": 200.0}, {"time of a synced write": "advice"}),
        ({"sync_ms": None}, {}),
        ({"used_by": "`dataserver serve`, pid 1"}, {}),
    ],
    ids=str,
)
def test_a_folder_is_judged(change: dict[str, object], expected: dict[str, str]) -> None:
    assert verdicts(list(judge_folder(replace(FOLDER, **change)))) == expected  # type: ignore[arg-type]  # of its fields


def test_limits_are_judged() -> None:
    assert verdicts(list(judge_limits(core_count=2, worker_count=9, open_files=65_536))) == {
        "cores": "advice"
    }
    assert verdicts(list(judge_limits(core_count=2, worker_count=2, open_files=1_024))) == {
        "open files": "advice"
    }
    assert verdicts(list(judge_limits(core_count=2, worker_count=2, open_files=64))) == {"open files": "must"}


def test_only_the_chosen_kind_of_pool_must_work() -> None:
    broken = replace(TRIAL, failure="OSError: no processes")
    assert must_change(judge_pools([broken], use_workers=True))
    assert must_change(judge_pools([replace(TRIAL, ran_as="thread")], use_workers=True))
    assert not must_change(judge_pools([replace(broken, is_chosen=False)], use_workers=True))


def test_workers_that_are_off_are_pointed_out() -> None:
    assert verdicts(list(judge_pools([], use_workers=False))) == {"workers": "advice"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/srv", "ext4"),
        ("/run/x", "tmpfs"),
        ("/mnt/big disk/x", "nfs4"),
        ("/mnt/bigger", "xfs"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path: str, expected: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == expected


def test_without_a_list_of_mounts_the_file_system_is_unknown() -> None:
    assert file_system_of(Path("/srv"), []) == ""
