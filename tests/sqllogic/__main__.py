"""`python -m tests.sqllogic FOLDER`: run all `.test` files below FOLDER in every way, and tell where the ways differ."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import structlog

from tests.sqllogic.folder import run_file
from tests.sqllogic.records import BadRecord

_MAX_TOLD_COUNT = 20


def main(arguments: list[str]) -> int:
    """Return 1 if any two ways differ, or a file is no sqllogictest."""
    parser = argparse.ArgumentParser(prog="python -m tests.sqllogic", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="a folder of sqllogictest files, such as SQLite's own corpus"
    )
    chosen = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    difference_count = 0
    for path in sorted(chosen.folder.rglob("*.test")):
        with tempfile.TemporaryDirectory() as folder:
            try:
                tally = asyncio.run(run_file(path, Path(folder)))
            except BadRecord as error:
                sys.stdout.write(f"{path}: {error}\n")
                difference_count += 1
                continue
        difference_count += len(tally.differences)
        sys.stdout.write(
            f"{path}: {tally.answered_count} answered alike, {tally.failed_count} failed alike,"
            f" {tally.refused_count} refused, {len(tally.differences)} differ\n"
        )
        for difference in tally.differences[:_MAX_TOLD_COUNT]:
            sys.stdout.write(f"  {difference}\n")
    return 1 if difference_count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
