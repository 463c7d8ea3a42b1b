"""A service that is given shared state with its requests."""

from __future__ import annotations

from workers import MethodService, Task, method
from workers.shared.cancellation import SharedCancellation
from workers.shared.counter import SharedCounter
from workers.shared.flag import SharedFlag
from workers.shared.progress import SharedProgress


class SharedBench(MethodService):
    """Uses what it is given."""

    @method()
    def use(self, params: int, task: Task) -> int:
        with (
            SharedCounter.from_buffer(task.buffers[0]) as counter,
            SharedProgress.from_buffer(task.buffers[1]) as progress,
            SharedFlag.from_buffer(task.buffers[2]) as flag,
        ):
            progress.reset(params)
            progress.add()
            flag.set()
            return counter.add(params)

    @method()
    def until_cancelled(self, params: None, task: Task) -> int:  # noqa: ARG002 - every method gets one
        with (
            SharedCancellation.from_buffer(task.buffers[0]) as cancellation,
            SharedCounter.from_buffer(task.buffers[1]) as begun,
        ):
            begun.add()
            while True:
                cancellation.check()
                cancellation.wait(0.5)
