"""`python -m tests.benchmarks [--quick] [-k WORDS]`: run the benchmark, print its table, save all figures as JSON."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.benchmarks.sizes import FULL, QUICK

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent


def main(arguments: list[str]) -> int:
    """Return pytest's exit code: 0 also when a budget is missed, since the machine decides about that."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, under a minute: shows that it works"
    )
    parser.add_argument(
        "-k", default="", metavar="WORDS", help="only the rows whose test's name matches, as in pytest"
    )
    chosen = parser.parse_args(arguments)
    sizes = QUICK if chosen.quick else FULL
    stamp = time.strftime("%Y%m%d-%H%M%S")
    saved = _ROOT / ".benchmarks" / f"{stamp}{'-quick' if chosen.quick else ''}.json"
    saved.parent.mkdir(exist_ok=True)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # candidates and servers are ended, the table is printed
    options = ["--quick"] if chosen.quick else []
    code = pytest.main([
        str(_HERE), *options, "-k", chosen.k, "-o", "addopts=", "--import-mode=importlib", "-q", "--no-header",
        "-p", "no:cacheprovider", "-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning", "--benchmark-quiet", f"--benchmark-json={saved}", "--timeout=600", "--timeout-method=signal",
        f"--session-timeout={sizes.session_limit_s}",
    ])  # fmt: skip
    if saved.exists():
        sys.stdout.write(f"saved: {saved.relative_to(_ROOT)}\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
