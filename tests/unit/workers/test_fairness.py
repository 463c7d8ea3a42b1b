"""Whose call is next, as a pure function of who asked and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.fairness import COST_US, MAX_ABSENT_COUNT, FairQueue


@dataclass(frozen=True)
class Item:
    tenant: str
    number: int = 0


TENANTS = st.sampled_from("abcde")


def queue_of(counts: dict[str, int], weights: dict[str, float] | None = None) -> FairQueue[Item]:
    queue: FairQueue[Item] = FairQueue(weights)
    for tenant, count in counts.items():
        for number in range(count):
            queue.append(Item(tenant, number))
    return queue


def served(queue: FairQueue[Item], count: int) -> dict[str, int]:
    """Return how many calls of each tenant are among the next `count`."""
    tenants = [queue.popleft().tenant for _ in range(count)]
    return {tenant: tenants.count(tenant) for tenant in sorted(set(tenants))}


@given(st.lists(st.one_of(TENANTS, st.integers(1, 5)), max_size=80))
def test_nothing_is_lost_or_doubled_and_a_tenant_s_calls_keep_their_order(steps: list[str | int]) -> None:
    queue: FairQueue[Item] = FairQueue()
    added: list[Item] = []
    taken: list[Item] = []
    for number, step in enumerate(steps):
        if isinstance(step, str):
            added.append(Item(step, number))
            queue.append(added[-1])
        else:
            taken += queue.take(step)
        assert (len(queue), bool(queue)) == (len(added) - len(taken), len(added) > len(taken))
    taken += queue.take(len(queue))
    for tenant in "abcde":
        assert [one for one in taken if one.tenant == tenant] == [
            one for one in added if one.tenant == tenant
        ]
    assert len(taken) == len(added)


@given(st.dictionaries(TENANTS, st.sampled_from([1.0, 2.0, 4.0]), min_size=2), st.integers(1, 60))
def test_while_all_have_enough_each_is_served_by_its_weight_within_one_call(
    weights: dict[str, float], count: int
) -> None:
    queue = queue_of(dict.fromkeys(weights, 200), weights)
    got = served(queue, count)
    for one, weight in weights.items():
        for other, other_weight in weights.items():
            ahead = got.get(one, 0) / weight - got.get(other, 0) / other_weight
            assert ahead <= 1 / weight + 1 / other_weight + 1e-9


@given(st.integers(1, 100), st.integers(0, 100))
def test_who_comes_anew_waits_for_one_call_of_the_other_however_many_that_has(
    waiting_count: int, served_count: int
) -> None:
    queue = queue_of({"heavy": waiting_count + served_count})
    queue.take(served_count)
    queue.append(Item("new"))
    assert "new" in [queue.popleft().tenant for _ in range(2)]


def test_being_away_earns_nothing() -> None:
    queue = queue_of({"a": 1_000, "b": 1})
    served(queue, 500)
    for number in range(100):
        queue.append(Item("b", number))
    assert served(queue, 20) == {"a": 10, "b": 10}


def test_who_took_long_is_passed_over_until_the_others_have_had_as_much() -> None:
    queue = queue_of({"a": 100, "b": 100})
    queue.charge("a", 20 * COST_US)
    assert served(queue, 20) == {"b": 20}
    assert served(queue, 20) == {"a": 10, "b": 10}


def test_a_debt_outlives_the_tenant_s_own_absence_but_holds_nobody_up_who_is_alone() -> None:
    queue = queue_of({"b": 5})
    queue.charge("a", 100 * COST_US)
    queue.append(Item("a"))
    assert served(queue, 6) == {"a": 1, "b": 5}


def test_what_comes_back_is_the_next_of_its_tenant_and_costs_it_no_second_turn() -> None:
    queue = queue_of({"a": 30, "b": 30})
    for _ in range(10):
        came_back = queue.popleft()
        queue.appendleft(came_back)
        taken = [queue.popleft(), queue.popleft()]
        assert [one for one in taken if one.tenant == came_back.tenant] == [came_back]


def test_what_is_not_wanted_any_more_is_dropped() -> None:
    queue = queue_of({"a": 4, "b": 2})
    queue.keep(lambda item: item.tenant == "a" and item.number % 2 == 0)
    assert [(item.tenant, item.number) for item in queue] == [("a", 0), ("a", 2)]
    assert (queue.count_of("a"), queue.count_of("b"), queue.active_count) == (2, 0, 1)
    queue.clear()
    assert not queue


@pytest.mark.parametrize("debt_us", [0.0, 5 * COST_US])
def test_tenants_that_are_gone_are_forgotten_once_they_are_many(debt_us: float) -> None:
    queue: FairQueue[Item] = FairQueue()
    for number in range(3 * MAX_ABSENT_COUNT):
        queue.append(Item(f"tenant {number}"))
        queue.take(1)
        queue.charge(f"tenant {number}", debt_us)
    assert len(queue._lines) <= MAX_ABSENT_COUNT
