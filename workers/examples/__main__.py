"""`python -m workers.examples [NAME ...] [--mib N]`: run the examples, all of them unless some are named."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import anyio
import structlog

from workers.examples.stage import MIB, Example, Stage

NAMES = (
    "encrypting",
    "hashing",
    "cancelling",
    "network",
    "chunks",
    "compressing",
    "shared_progress",
    "own_service",
    "statistics",
    "retries",
    "batches",
    "transfer",
)


def found(name: str) -> Example:
    """Return the example of that name."""
    example: Example = import_module(f"workers.examples.{name}").example
    return example


def main(arguments: list[str]) -> int:
    """Run what is asked for; an example that fails ends it."""
    parser = argparse.ArgumentParser(prog="python -m workers.examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--mib", type=int, default=64, help="size of the files they make (default: %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no example called {', '.join(sorted(unknown))}")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
    )  # the stage is ours
    for name in chosen.names or NAMES:
        example = found(name)
        _say(f"{name}: {(sys.modules[example.__module__].__doc__ or '').strip()}")
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="workers-example-") as folder:
            stage = Stage(Path(folder), chosen.mib * MIB, lambda text: _say(f"  {text}"))
            anyio.run(example, stage)
        _say(f"  ({time.perf_counter() - begun:.1f} s)\n")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
