from __future__ import annotations

import os

import pytest

from workers import PoolSettings
from workers.settings import default_worker_count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "fork"),
        ("balance", "random"),
        ("worker_count", 0),
        ("window_count", -1),
        ("max_waiting_count", 1.5),
        ("default_timeout_s", 0),
        ("settle_s", float("inf")),
        ("demote_after_s", float("nan")),
    ],
)
def test_a_senseless_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        PoolSettings(**{name: value})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)])
def test_half_the_cores_work_and_at_least_one(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert default_worker_count() == PoolSettings().worker_count == workers
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_worker_count() == workers
