from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from storage.sqlite.batches import ALONE, Section, parts, sections

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 10

requests = st.lists(st.tuples(st.sampled_from("abc"), st.integers(ALONE, LIMIT + 3)), max_size=60)


def test_neighbours_of_one_database_share_a_section_whatever_came_between_them() -> None:
    planned = sections([("a", 1), ("b", 1), ("a", 1), ("a", 1)], limit=LIMIT)

    assert planned == [Section("a", (0, 2, 3)), Section("b", (1,))]


def test_a_request_that_takes_no_company_parts_those_before_it_from_those_after_it() -> None:
    planned = sections([("a", 1), ("a", ALONE), ("a", 1), ("a", 1)], limit=LIMIT)

    assert planned == [Section("a", (0,)), Section("a", (1,)), Section("a", (2, 3))]


def test_a_request_heavier_than_a_section_has_its_own() -> None:
    planned = sections([("a", 1), ("a", LIMIT + 1), ("a", 1)], limit=LIMIT)

    assert planned == [Section("a", (0,)), Section("a", (1,)), Section("a", (2,))]


@given(requests)
def test_every_request_is_in_one_section_and_in_order_within_its_database(
    batch: list[tuple[str, int]],
) -> None:
    planned = sections(batch, limit=LIMIT)

    for path in "abc":
        run = [place for section in planned if section.path == path for place in section.members]
        assert run == [place for place, request in enumerate(batch) if request[0] == path]


@given(requests)
def test_sections_keep_their_weight_and_the_lonely_are_alone(batch: list[tuple[str, int]]) -> None:
    for section in sections(batch, limit=LIMIT):
        weights = [batch[place][1] for place in section.members]
        assert len(weights) == 1 or (ALONE not in weights and sum(weights) <= LIMIT)


def test_what_stood_before_a_known_culprit_and_after_it_stays_together() -> None:
    assert parts(range(5), 2) == [range(2), range(2, 3), range(3, 5)]
    assert parts(range(5), 0) == [range(1), range(1, 5)]
    assert parts(range(5), 4) == [range(4), range(4, 5)]


def test_an_unknown_culprit_is_looked_for_in_halves() -> None:
    assert parts(range(5), None) == [range(2), range(2, 5)]


@given(st.integers(1, 80), st.data())
def test_taking_apart_answers_each_request_once_in_order_and_ends(count: int, data: st.DataObject) -> None:
    known = data.draw(st.sets(st.integers(0, count - 1)))
    unknown = data.draw(st.sets(st.integers(0, count - 1))) - known
    answered: list[int] = []
    statement_count = 0
    waiting: deque[Sequence[int]] = deque([range(count)])

    while waiting:
        group = waiting.popleft()
        culprits = [place for place, member in enumerate(group) if member in known]
        if len(group) > 1 and culprits:
            statement_count += culprits[0] + 1
            waiting.extendleft(reversed(parts(group, culprits[0])))
        elif len(group) > 1 and unknown & set(group):
            statement_count += len(group)
            waiting.extendleft(reversed(parts(group, None)))
        else:
            statement_count += len(group)
            answered += group

    assert answered == list(range(count))
    if not unknown:
        assert statement_count <= 2 * count + len(known)
    if not known:
        assert statement_count <= count * (math.ceil(math.log2(count)) + 1)
