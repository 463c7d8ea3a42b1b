from __future__ import annotations

from tests.benchmarks.ratios import Bound, versus
from tests.benchmarks.table import figure, render

MACHINE = {"cpu": "two of them", "disk": "ext4"}


def test_the_table_shows_both_sides_the_ratio_the_budget_and_the_verdict() -> None:
    row = versus(
        group="reads",
        what="process pool",
        ours=[90_000.0],
        peer_name="aiosqlite",
        peer=[9_000.0],
        unit="/s",
        floor=Bound(limit=10),
        goal=Bound(limit=15),
    )
    line = next(line for line in render(MACHINE, [row]).splitlines() if line.startswith("process pool"))
    assert line.split() == [
        "process",
        "pool",
        "90.0k",
        "/s",
        "9,000",
        "/s",
        "aiosqlite",
        "10.0x",
        "10x",
        "15x",
        "floor",
    ]


def test_the_table_begins_with_the_facts_of_the_machine() -> None:
    assert render(MACHINE, []).splitlines()[:2] == ["cpu   two of them", "disk  ext4"]


def test_a_group_is_named_once_above_its_rows() -> None:
    rows = [
        versus(group="reads", what=what, ours=[1.0], peer_name="p", peer=[1.0], unit="/s")
        for what in ("one", "two")
    ]
    assert render(MACHINE, rows).splitlines().count("[reads]") == 1


def test_a_note_stands_below_the_table_once_with_its_number_at_each_row() -> None:
    rows = [
        versus(group="g", what=what, ours=[1.0], peer_name="p", peer=[], unit="/s", note="no Node here")
        for what in ("one", "two")
    ]
    text = render(MACHINE, rows)
    assert text.count("no Node here") == 1
    assert text.count("  (1)\n") == 2


def test_what_missed_its_floor_is_named_again_at_the_end() -> None:
    row = versus(
        group="g", what="slow thing", ours=[1.0], peer_name="p", peer=[1.0], unit="/s", floor=Bound(limit=2)
    )
    assert render(MACHINE, [row]).endswith(
        "goals met: 0, floors met: 0, below: 1\nBELOW: g: slow thing against p\n"
    )


def test_columns_stand_under_each_other() -> None:
    rows = [
        versus(group="g", what=what, ours=[ours], peer_name="p", peer=[1.0], unit="/s")
        for what, ours in (("short", 1.0), ("a much longer name", 123_456.0))
    ]
    lines = [line for line in render(MACHINE, rows).splitlines() if "x" in line and "/s" in line]
    assert len({line.index(" p ") for line in lines}) == 1


def test_figures_have_as_many_digits_as_a_reader_can_use() -> None:
    shown = [figure(value) for value in (None, 0.123, 5.678, 56.78, 567.8, 5_678.0, 56_780.0, 567_800.0)]
    assert shown == ["-", "0.12", "5.68", "56.8", "568", "5,678", "56.8k", "568k"]
