"""Real data for the acceptance tests, when it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """The folder of real data beside the checkout; without it the test is skipped, and says so."""
    if not (REAL_DATA / "chinook.sqlite").is_file():
        pytest.skip(f"REAL DATA IS MISSING: no {REAL_DATA}; this test ran on nothing")
    return REAL_DATA
