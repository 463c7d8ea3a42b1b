"""Another process that reads one state of a database file, as a program does that nobody told of the server."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_S = 20.0
_READER = """
import sys, apsw
held = apsw.Connection(sys.argv[1])
held.execute("BEGIN; SELECT count(*) FROM sqlite_schema").fetchall()
print("reads", flush=True)
sys.stdin.read()
"""


@contextmanager
def reading_elsewhere(path: Path) -> Iterator[None]:
    """Have another process read one state of the file at `path` while this is entered."""
    command = [sys.executable, "-c", _READER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:  # noqa: S603 - ours
        assert reader.stdin is not None
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline() == "reads\n"
            yield
        finally:
            reader.stdin.close()
            reader.wait(LIMIT_S)
