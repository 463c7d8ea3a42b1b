"""`python -m tests.sqllogic FOLDER`: run all `.test` files below FOLDER in every way, and tell where the ways differ.

SQLite's own corpus has 622 files with some seven million records, which take days in every way. So a run may take a sample
of each file (`--max-queries`), end after a time (`--max-minutes`), and go on later where it ended (`--resume`). Files are
taken from all folders in turn, so that a run that ends early has seen some of each kind.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from tests.sqllogic.folder import run_file
from tests.sqllogic.records import BadRecord
from workers import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sqllogic.ways import Tally

_MAX_TOLD_COUNT = 20


def main(arguments: list[str]) -> int:
    """Return 1 if any two ways differ, or a file is no sqllogictest."""
    chosen = _chosen(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    clock = SystemClock()
    ends_at = clock.monotonic() + 60.0 * chosen.max_minutes if chosen.max_minutes else float("inf")
    done = set(chosen.resume.read_text().splitlines()) if chosen.resume and chosen.resume.exists() else set()
    waiting = [path for path in _in_turn(chosen.folder) if str(path) not in done]
    difference_count = 0
    for place, path in enumerate(waiting):
        if clock.monotonic() > ends_at:
            sys.stdout.write(f"{len(waiting) - place} files are left\n")
            break
        try:
            with tempfile.TemporaryDirectory() as folder:
                tally = asyncio.run(run_file(path, Path(folder), chosen.max_queries))
        except BadRecord as error:
            sys.stdout.write(f"{path}: {error}\n")
            difference_count += 1
            continue
        difference_count += len(tally.differences)
        _tell(path, tally)
        if chosen.resume:
            with chosen.resume.open("a") as list_of_done:
                list_of_done.write(f"{path}\n")
    return 1 if difference_count else 0


def _chosen(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sqllogic", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="a folder of sqllogictest files, such as SQLite's own corpus"
    )
    parser.add_argument("--max-queries", type=int, default=0, help="of each file, evenly taken; 0 for all")
    parser.add_argument("--max-minutes", type=float, default=0.0, help="begin no file later; 0 for no end")
    parser.add_argument(
        "--resume", type=Path, help="a list of files that are done: they are left out, and others added to it"
    )
    return parser.parse_args(arguments)


def _in_turn(root: Path) -> Iterator[Path]:
    """Yield the files below `root`, one of each folder after the other."""
    by_folder: dict[Path, list[Path]] = {}
    for path in sorted(root.rglob("*.test")):
        by_folder.setdefault(path.parent, []).append(path)
    for round_of_files in zip_longest(*by_folder.values()):
        yield from (path for path in round_of_files if path is not None)


def _tell(path: Path, tally: Tally) -> None:
    reordered = f", {tally.reordered_count} in another order" if tally.reordered_count else ""
    sys.stdout.write(
        f"{path}: {tally.answered_count} answered alike, {tally.failed_count} failed alike,"
        f" {tally.refused_count} refused, {len(tally.differences)} differ{reordered}\n"
    )
    for difference in tally.differences[:_MAX_TOLD_COUNT]:
        sys.stdout.write(f"  {difference}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
