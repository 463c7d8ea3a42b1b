"""What every test gets: both event loops, logging as it was, and a guard against blocking calls on them."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

from tests.support.loops import BOTH, on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The suite starts a thousand processes, and each would compile the project anew: a command takes 0.6 s instead of 0.35.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Nothing here depends on the device below a file, and thousands of syncs of a busy disk take minutes.
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - tmp_path_factory makes folders in it that nobody else can name
LEAST_FREE_BYTES = 4 << 30
if "TMPDIR" not in os.environ and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > LEAST_FREE_BYTES:
    os.environ["TMPDIR"] = str(IN_MEMORY)
    tempfile.tempdir = None  # pytest has looked before

# No test fails because the machine is busy. `--hypothesis-profile=thorough` tries more, but where a test has its own number.
_ANY_TIME: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", max_examples=50, **_ANY_TIME)
settings.register_profile("thorough", max_examples=1_000, **_ANY_TIME)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Leave thousands of tests and all modules out of each later collection of garbage, and collect less often.

    It took a twelfth of the processor time of tests that start nothing (2026-11).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


anyio_backend = on(BOTH)


@dataclass
class Guard:
    """Whether a blocking call on the event loop fails just now."""

    is_on: bool = False

    def lets_pass(self, allowed: Callable[..., bool]) -> Callable[..., bool]:
        """Return the rule of a function that may block where `allowed` says so, and wherever the guard is off."""
        return lambda *args, **named: not self.is_on or allowed(*args, **named)


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Wrap what blocks, once: to do so for each test took as long as what most of them do (2026-11)."""
    guard, blockbuster = Guard(), BlockBuster()
    for function in blockbuster.functions.values():
        function.can_block_predicate = guard.lets_pass(function.can_block_predicate)
        # inline, the service runs on the loop: that is what it is for
        function.can_block_in("workers/backends/inline.py", ["start", "_turn", "stop"])
        # its own lock, which a traced thread may hold: an error there is one in the callback that was traced
        function.can_block_in("coverage/collector.py", ["lock_data"])
    # the list of open descriptors is no disk
    blockbuster.functions["os.listdir"].can_block_in("dataserver/peers.py", ["_connected_descriptors"])
    blockbuster.activate()
    yield guard
    blockbuster.deactivate()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Take back what a program that ran in the test's own process did to the logging of all."""
    handlers, level, events = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    structlog.configure(**events)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def no_blocking_calls(guard: Guard) -> Iterator[None]:
    """Fail the test that sleeps, reads files or waits for a lock on the event loop."""
    guard.is_on = True
    yield
    guard.is_on = False
