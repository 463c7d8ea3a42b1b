from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.handing_out import AT_WORKER_US, LEAST_WINDOW_COUNT, fitting_window


@given(st.integers(1, 1_000), st.floats(0, 1e6))
def test_one_tenant_alone_has_the_whole_window(most: int, mean_us: float) -> None:
    assert fitting_window(most, tenants_count=1, mean_us=mean_us) == most


@given(st.integers(LEAST_WINDOW_COUNT, 1_000), st.integers(2, 100), st.floats(0.1, 1e6))
def test_beside_others_no_more_work_is_at_a_worker_than_another_s_call_may_wait_for(
    most: int, tenants_count: int, mean_us: float
) -> None:
    window = fitting_window(most, tenants_count=tenants_count, mean_us=mean_us)
    assert LEAST_WINDOW_COUNT <= window <= most
    assert window == LEAST_WINDOW_COUNT or window * mean_us <= AT_WORKER_US


def test_point_reads_hardly_notice_and_pages_do() -> None:
    assert fitting_window(256, tenants_count=2, mean_us=8.0) == 250
    assert fitting_window(256, tenants_count=2, mean_us=200.0) == 10
