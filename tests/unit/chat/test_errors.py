from __future__ import annotations

import math
from typing import Any

import pytest

from chat.errors import Failure, Permanent, RateLimited


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (404, 404),
        ("404", 404),
        (0, None),
        (-1, None),
        (1_000, None),
        (10**30, None),
        ("x", None),
        (None, None),
    ],
    ids=repr,
)
def test_a_status_is_kept_if_it_is_one(given: Any, kept: int | None) -> None:
    assert Failure.of(Permanent("no", status=given)).status == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [(1.5, 1.5), ("5", 5.0), ("soon", None), (None, None), (math.nan, None), (10**400, None)],
    ids=lambda value: repr(value)[:10],
)
def test_a_wait_is_kept_if_it_is_a_number_of_seconds(given: Any, kept: float | None) -> None:
    assert Failure.of(RateLimited("no", retry_after_s=given)).retry_after_s == kept
