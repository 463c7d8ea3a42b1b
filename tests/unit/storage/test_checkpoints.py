from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite.checkpoints import PASSIVE_PAGES, TRUNCATE_PAGES, Mode, Steps, due


def test_a_short_log_is_left_alone() -> None:
    assert due(PASSIVE_PAGES - 1, tried=0, truncated=0) is None


def test_a_longer_one_is_moved_without_waiting_and_again_after_as_many_pages() -> None:
    assert due(PASSIVE_PAGES, tried=0, truncated=0) is Mode.PASSIVE
    assert due(2 * PASSIVE_PAGES - 1, tried=PASSIVE_PAGES, truncated=0) is None
    assert due(2 * PASSIVE_PAGES, tried=PASSIVE_PAGES, truncated=0) is Mode.PASSIVE


def test_a_large_one_is_truncated_and_again_when_it_has_grown_by_a_quarter() -> None:
    grown = TRUNCATE_PAGES + TRUNCATE_PAGES // 4

    assert due(TRUNCATE_PAGES, tried=TRUNCATE_PAGES - 1, truncated=0) is Mode.TRUNCATE
    assert due(grown - 1, tried=grown - 1, truncated=TRUNCATE_PAGES) is None
    assert due(grown, tried=grown - 1, truncated=TRUNCATE_PAGES) is Mode.TRUNCATE


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=200))
def test_behind_a_reader_that_stays_the_waits_become_rare(growth: list[int]) -> None:
    pages = tried = truncated = 0
    waits: list[int] = []
    for step in growth:
        pages += step
        mode = due(pages, tried=tried, truncated=truncated)
        if mode is not None:
            tried = pages
        if mode is Mode.TRUNCATE:
            truncated = pages
            waits.append(pages)
        assert pages - tried < PASSIVE_PAGES

    assert all(later >= earlier * 1.24 for earlier, later in pairwise(waits))


def test_a_small_bound_brings_every_step_forward() -> None:
    steps = Steps.within(1024 * 1024, 4096)
    assert (steps.passive, steps.truncate, steps.full) == (63, 127, 254)
    assert Steps.within(256 * 1024 * 1024, 4096).truncate == TRUNCATE_PAGES


@given(st.integers(1, 10_000), st.lists(st.integers(1, 500), min_size=1, max_size=200))
def test_a_log_that_passes_its_bound_is_waited_for_at_once_whatever_was_tried_before(
    full: int, growth: list[int]
) -> None:
    steps = Steps(passive=10, truncate=min(100, full), full=full)
    pages = tried = truncated = 0
    for step in growth:
        was_below = pages < full
        pages += step
        mode = due(pages, tried=tried, truncated=truncated, steps=steps)
        if was_below and pages >= full:
            assert mode is Mode.TRUNCATE
        if mode is not None:
            tried = pages
        if mode is Mode.TRUNCATE:
            truncated = pages
