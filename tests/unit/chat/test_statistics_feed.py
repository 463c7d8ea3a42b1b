from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from chat import Statistics
from chat.queue.statistics_feed import StatisticsFeed
from tests.support.waiting import until


def counted(pending: int) -> Statistics:
    return Statistics(pending=pending, processing=0, failed=0, completed=0, cancelled=0, total=pending)


async def test_a_hundred_changes_at_once_are_told_once_and_nobody_reads_while_nobody_listens() -> None:
    reads: list[int] = []
    told: list[int] = []
    changes = 0

    async def read() -> Statistics:
        reads.append(changes)
        return counted(changes)

    feed = StatisticsFeed(read, 0.0)
    async with anyio.create_task_group() as group:
        group.start_soon(feed.run)
        for _ in range(10):
            feed.stir()
        await anyio.wait_all_tasks_blocked()
        assert reads == []

        async def listen() -> None:
            async for statistics in feed.follow():
                told.append(statistics.pending)  # noqa: PERF401 - it is looked at meanwhile

        group.start_soon(listen)
        await until(lambda: len(reads) == 2)  # at once, and what was changed before anybody listened
        for changes in range(1, 101):  # noqa: B007 - `read` tells it
            feed.stir()
        await until(lambda: told == [0, 100])
        for _ in range(50):
            await checkpoint()
        group.cancel_scope.cancel()

    assert reads == [0, 0, 100]
