"""What is counted, and how it reads in Prometheus."""

from __future__ import annotations

import os

import pytest
from anyio.lowlevel import checkpoint
from prometheus_client.parser import text_string_to_metric_families

from dataserver.loop_lag import BUCKETS_S, WINDOW_S, LoopLag
from dataserver.memory import TreeMemory, tree_memory
from dataserver.metrics import MEMORY_AGE_S, Metrics
from tests.support.waiting import until


async def samples(metrics: Metrics) -> dict[str, float]:
    text = (await metrics.exposition()).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_status_with_time_and_bytes() -> None:
    metrics = Metrics(LoopLag())
    metrics.count_request("GET /x", 200, 0.0015, 10)
    metrics.count_request("GET /x", 200, 40.0, 20)
    metrics.count_request("GET /x", 404, 0.0001, 5)
    found = await samples(metrics)
    name = "dataserver_http_request_seconds"
    assert found[f"{name}_count[('route', 'GET /x'), ('status', '200')]"] == 2
    assert found[f"{name}_sum[('route', 'GET /x'), ('status', '200')]"] == 40.0015
    assert found[f"{name}_bucket[('le', '0.001'), ('route', 'GET /x'), ('status', '200')]"] == 0
    assert found[f"{name}_bucket[('le', '0.002'), ('route', 'GET /x'), ('status', '200')]"] == 1
    assert found[f"{name}_bucket[('le', '30.0'), ('route', 'GET /x'), ('status', '200')]"] == 1
    assert found[f"{name}_count[('route', 'GET /x'), ('status', '404')]"] == 1
    assert found["dataserver_http_sent_body_bytes_total[('route', 'GET /x')]"] == 35


async def test_lag_is_a_histogram_and_the_worst_of_late() -> None:
    lag = LoopLag()
    for late_s in (0.0005, 0.0015, 0.3):
        lag.record(late_s, now=1.0)
    found = await samples(Metrics(lag))
    assert found["dataserver_event_loop_lag_seconds_bucket[('le', '0.001')]"] == 1
    assert found["dataserver_event_loop_lag_seconds_bucket[('le', '0.5')]"] == 3
    assert found["dataserver_event_loop_lag_worst_seconds[]"] == 0.3


def test_the_worst_lag_is_forgotten_after_two_windows() -> None:
    lag = LoopLag()
    lag.record(0.3, now=1.0)
    lag.record(0.1, now=1.5 + WINDOW_S)
    assert lag.worst_s == 0.3
    lag.record(0.2, now=2.0 + 2 * WINDOW_S)
    assert lag.worst_s == 0.2


def test_a_timer_that_comes_early_is_not_late() -> None:
    lag = LoopLag()
    lag.record(-0.001, now=1.0)
    assert (lag.counts[0], lag.total_s) == (1, 0.0)
    assert len(lag.counts) == len(BUCKETS_S) + 1


async def test_the_timer_counts_the_turns_of_the_loop() -> None:
    lag = LoopLag()
    lag.start()
    lag.start()
    await until(lambda: sum(lag.counts) >= 3)
    lag.close()
    counted = sum(lag.counts)
    await checkpoint()
    assert sum(lag.counts) == counted


async def test_scrapes_within_a_second_read_the_memory_of_the_processes_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, read_at = 100.0, list[float]()

    def read(pid: int) -> TreeMemory | None:
        read_at.append(now)
        return tree_memory(pid)

    monkeypatch.setattr("dataserver.metrics.monotonic", lambda: now)
    monkeypatch.setattr("dataserver.metrics.tree_memory", read)
    metrics = Metrics(LoopLag())
    first = await samples(metrics)
    now += 0.5 * MEMORY_AGE_S
    assert (await samples(metrics))["dataserver_processes[]"] == first["dataserver_processes[]"]
    now += 0.5 * MEMORY_AGE_S
    await samples(metrics)
    assert read_at == [100.0, 100.0 + MEMORY_AGE_S]


def test_the_memory_of_the_tree_holds_files_without_a_name_once() -> None:
    before = tree_memory(os.getpid())
    fd = os.memfd_create("test")
    other = os.dup(fd)
    os.write(fd, b"x" * 1_000_000)
    after = tree_memory(os.getpid())
    os.close(fd)
    os.close(other)
    assert before is not None
    assert after is not None
    assert 1_000_000 <= after.memfd_bytes - before.memfd_bytes < 2_000_000
    assert after.pss_bytes > 1_000_000
    assert after.process_count >= 1


def test_the_memory_of_no_process_is_not_known() -> None:
    assert tree_memory(2**22 + 1) is None
