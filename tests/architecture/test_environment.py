"""Settings come in at one place."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PASSES_IT_ON = {"workers/backends/spawning.py"}
"""To a child process, unread."""


def reads_environment(path: Path) -> bool:
    """Return whether a file touches the environment of its process."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    named |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return bool(named & {"environ", "environb", "getenv"})


def test_no_layer_below_the_server_reads_the_environment() -> None:
    reading = {
        str(path.relative_to(ROOT))
        for layer in ("workers", "storage", "chat")
        for path in (ROOT / layer).rglob("*.py")
        if reads_environment(path)
    }
    assert reading == PASSES_IT_ON
