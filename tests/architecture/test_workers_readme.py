"""The README of workers tells the truth of today."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import workers
from workers.bridges.compression import CompressionBridge
from workers.bridges.crypto import CryptoBridge
from workers.bridges.files import FilesBridge
from workers.bridges.network import NetworkBridge
from workers.examples.__main__ import NAMES

ROOT = Path(__file__).parents[2]
README = (ROOT / "workers" / "README.md").read_text(encoding="utf-8")
BRIDGES = {
    "compression": CompressionBridge,
    "crypto": CryptoBridge,
    "files": FilesBridge,
    "network": NetworkBridge,
}
SHARED = ["SharedBoard", "SharedCancellation", "SharedCounter", "SharedFlag", "SharedProgress"]


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    text = README.partition(f"{heading}\n")[2]
    lines = [line for line in re.split(r"\n##", text)[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_the_first_example_runs_as_it_stands() -> None:
    code = README.partition("```python\n")[2].partition("```")[0]
    ran = subprocess.run(  # noqa: S603 - our own example
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1:]) == (0, ["40.0"]), ran.stderr


def test_every_name_of_the_reference_is_public() -> None:
    named = {name for row in rows_of("## What there is") for name in re.findall(r"`([A-Za-z_]+)[`(]", row[0])}
    assert len(named) > 20
    assert [name for name in sorted(named) if name not in workers.__all__] == []


@pytest.mark.parametrize("bridge", sorted(BRIDGES))
def test_every_method_of_a_bridge_is_named_and_there(bridge: str) -> None:
    [row] = [row for row in rows_of("### Bridges") if row[0] == f"`{bridge}`"]
    named = set(re.findall(r"`(\w+)`", row[1]))
    there = {name for kind in BRIDGES[bridge].__mro__[:-1] for name in vars(kind) if not name.startswith("_")}
    own = {
        name for name in there if name not in dir(workers.Bridge) and callable(getattr(BRIDGES[bridge], name))
    }
    assert named - there == set()
    assert {name for name in own if not name.endswith("_many")} - named == set()


@pytest.mark.parametrize("name", SHARED)
def test_every_method_of_a_shared_object_is_named_and_there(name: str) -> None:
    [row] = [row for row in rows_of("### Shared state") if row[0] == f"`{name}`"]
    kind = getattr(workers, name)
    named = set(re.findall(r"`(\w+)", row[1])) - {"TaskCancelled"}
    assert [each for each in sorted(named) if not hasattr(kind, each)] == []


def test_every_error_of_the_troubleshooting_is_public() -> None:
    named = {name for row in rows_of("## Troubleshooting") for name in re.findall(r"`([A-Z]\w+)", row[0])}
    assert len(named) > 8
    assert [name for name in sorted(named) if name not in workers.__all__] == []


def test_every_file_and_example_that_is_named_exists() -> None:
    files = set(re.findall(r"`((?:workers|tests)/[\w/]+(?:\.py|/)?)`", README))
    assert files
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []
    examples = set(re.findall(r"workers\.examples\s+(\w+)`", README))
    assert examples
    assert examples <= set(NAMES)
