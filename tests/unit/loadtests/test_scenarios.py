from __future__ import annotations

from random import Random

import msgspec
import pytest

from loadtests.plan import KeyedTable, ListedTable, Plan, Scan
from loadtests.scenarios import SCENARIOS

PLAN = Plan(
    keyed=[KeyedTable(path="/rows", keys=["7"])],
    paged=["/rows"],
    listed=[ListedTable(path="/rows", column="country", values=["S&M"], order="-size")],
    exported=["/export"],
    scans=[Scan(database="geo names", sql="SELECT 1")],
    written_path="/written",
)
EMPTY = Plan(keyed=[], paged=[], listed=[], exported=[], scans=[], written_path="/written")


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a load, not a secret


def test_the_weights_are_shares_of_a_thousand() -> None:
    assert sum(scenario.weight for scenario in SCENARIOS) == 1_000


def test_every_scenario_asks_for_something_that_there_is() -> None:
    asked = {}
    for scenario in SCENARIOS:
        ask = scenario.ask(PLAN, seeded(1))
        assert ask is not None
        asked[scenario.name] = (ask.method, ask.path)
    assert asked == {
        "point read": ("GET", "/rows/7"),
        "page": ("GET", "/rows?limit=50"),
        "filtered list": ("GET", "/rows?country__eq=S%26M&order=-size&limit=20"),
        "write": ("POST", "/written"),
        "scan": ("POST", "/v1/databases/geo%20names/query"),
        "export": ("GET", "/export"),
    }


def test_a_scenario_with_nothing_to_ask_for_asks_for_nothing() -> None:
    asking = [scenario.name for scenario in SCENARIOS if scenario.ask(EMPTY, seeded(1)) is not None]
    assert asking == ["write"]


@pytest.mark.parametrize("seed", range(3))
def test_a_visitor_with_the_same_seed_asks_for_the_same(seed: int) -> None:
    def bodies() -> list[bytes]:
        random = seeded(seed)
        return [msgspec.json.encode(scenario.ask(PLAN, random)) for scenario in SCENARIOS]

    assert bodies() == bodies()
