"""What a worker process loads: no event loop, no logger, none of storage's async face."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = [
    "anyio",
    "asyncio",
    "trio",
    "structlog",
    "storage.database",
    "storage.databases",
    "workers.pool",
    "ssl",
    "tempfile",
]


@pytest.mark.parametrize("module", ["storage.sqlite.service", "storage.sqlite.writer"])
def test_a_worker_loads_neither_an_event_loop_nor_a_logger(module: str) -> None:
    script = f"import workers.backends.child, {module}, sys; print([name for name in {_HEAVY!r} if name in sys.modules])"
    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout == "[]\n", found.stderr


def test_the_root_loads_what_is_asked_for_and_nothing_else() -> None:
    script = "import storage, sys; storage.SqlError; print([name for name in sys.modules if name.startswith('storage.')])"
    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout == "['storage.errors']\n", found.stderr


def test_every_name_of_the_root_can_be_had() -> None:
    import storage  # noqa: PLC0415 - the test is about it

    assert all(getattr(storage, name) is not None for name in storage.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        storage.no_such_name  # noqa: B018
