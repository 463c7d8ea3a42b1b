"""The benchmark's table as text: one line a row, groups apart, readable at 120 columns; pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.ratios import Bound, Row

_HEAD = ("what", "ours", "peer", "", "ratio", "floor", "goal", "verdict")
_LEFT = {0, 3, 7}  # words; all else is figures and stands to the right
_THOUSAND = 1_000
_TEN = 10
_HUNDRED = 100


def render(machine: dict[str, str], rows: Sequence[Row]) -> str:
    """Return the machine's facts and the rows, ready for a terminal."""
    facts = _facts(machine)
    cells = [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in [_HEAD, *cells]) for column in range(len(_HEAD))]
    lines = [*facts, "", _line(_HEAD, widths), "-" * (sum(widths) + 2 * (len(widths) - 1))]
    notes: list[str] = []
    numbered = iter(zip(rows, cells, strict=True))
    for group, members in groupby(numbered, key=lambda pair: pair[0].group):
        lines.append(f"[{group}]")
        for row, line in members:
            mark = ""
            if row.note:
                if row.note not in notes:
                    notes.append(row.note)
                mark = f"  ({notes.index(row.note) + 1})"
            lines.append((_line(line, widths) + mark).rstrip())
    lines.extend(["", *(f"({number}) {note}" for number, note in enumerate(notes, 1)), *_summary(rows)])
    return "\n".join(lines) + "\n"


def figure(value: float | None) -> str:
    """Return a figure with as many digits as a reader can use."""
    if value is None:
        return "-"
    if abs(value) >= _HUNDRED * _THOUSAND:
        return f"{value / _THOUSAND:,.0f}k"
    if abs(value) >= _TEN * _THOUSAND:
        return f"{value / _THOUSAND:,.1f}k"
    if abs(value) >= _HUNDRED:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TEN else f"{value:.2f}"


def _facts(machine: dict[str, str]) -> list[str]:
    width = max((len(name) for name in machine), default=0)
    return [f"{name:<{width}}  {fact}" for name, fact in machine.items()]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        "-" if row.ours is None else f"{figure(row.ours)} {row.unit}",
        "-" if row.peer is None else f"{figure(row.peer)} {row.unit}",
        row.peer_name,
        "-" if row.ratio is None else f"{figure(row.ratio)}x",
        _bound(row.floor, row.unit),
        _bound(row.goal, row.unit),
        row.verdict,
    )


def _bound(bound: Bound | None, unit: str) -> str:
    return "" if bound is None else bound.text(unit)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        f"{cell:<{width}}" if column in _LEFT else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def _summary(rows: Sequence[Row]) -> list[str]:
    verdicts = [row.verdict for row in rows]
    below = [
        f"{row.group}: {row.what} against {row.peer_name or 'its limit'}"
        for row in rows
        if row.verdict == "BELOW"
    ]
    missing = sum(1 for row in rows if row.ours is None)
    lines = [
        f"goals met: {verdicts.count('goal')}, floors met: {verdicts.count('floor')}, below: {len(below)}"
    ]
    if missing:
        lines.append(f"not measured: {missing}")
    lines.extend(f"BELOW: {what}" for what in below)
    return lines
