"""`python -m tests.crash.chat_log`: run it, and print what was done and what is wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio

from tests.crash.chat_log import actions
from tests.crash.chat_log.run import run
from tests.support.flaky_proxy import Flaws


def main(arguments: list[str]) -> int:
    """Return 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.chat_log", description=__doc__)
    parser.add_argument("--lines", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--actions", action="store_true", help="instead of a log, one of every other action, done offline"
    )
    parser.add_argument("--calm", action="store_true", help="a proxy without flaws")
    parser.add_argument("--keep", metavar="FOLDER", help="where everything stays, to be looked at")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(chosen.keep or folder)
        place.mkdir(parents=True, exist_ok=True)
        if chosen.actions:
            verdict = anyio.run(partial(actions.run, place, seed=chosen.seed))
        else:
            flaws = Flaws(cut=0, delay=0, replay=0) if chosen.calm else None
            sent = partial(run, place, line_count=chosen.lines, client_count=chosen.clients)
            verdict = anyio.run(partial(sent, kills=chosen.kills, seed=chosen.seed, flaws=flaws))
    for what, count in [*verdict.done.items(), *verdict.wrong.items()]:
        sys.stdout.write(f"{what:<40}{count:>10,}\n")
    sys.stdout.write("clean\n" if verdict.is_clean else "WRONG\n")
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
