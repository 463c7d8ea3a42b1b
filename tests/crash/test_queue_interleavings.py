"""The queue's state machine for longer, and each time with other examples; see `test_queue_machine`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.chat.test_queue_machine import QueueMachine, fresh_queue

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fresh_queue"]

EXAMPLES_COUNT = int(os.environ.get("QUEUE_MACHINE_EXAMPLES", "100"))


@pytest.mark.timeout(60 + 6 * EXAMPLES_COUNT)
def test_many_interleavings_keep_what_the_queue_promises(fresh_queue: Path) -> None:
    QueueMachine.fresh = fresh_queue
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=EXAMPLES_COUNT,
            stateful_step_count=60,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
