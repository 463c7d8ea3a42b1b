"""Which modules may know what an event loop is made of."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports_of(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, anywhere in it, but for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_one_module_of_workers_knows_asyncio_from_trio() -> None:
    knowing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "workers").rglob("*.py")
        if imports_of(path) & {"asyncio", "trio", "uvloop"}
    }
    assert knowing == {"workers/completion.py"}


def test_a_child_process_needs_no_event_loop() -> None:
    reachable = ["workers/backends/child.py", "workers/runner.py", "workers/frames.py", "workers/protocol.py"]
    for path in reachable:
        assert not imports_of(ROOT / path) & {"anyio", "asyncio", "trio", "structlog"}
