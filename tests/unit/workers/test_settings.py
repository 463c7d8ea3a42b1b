from __future__ import annotations

import pytest

from workers import PoolSettings


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
