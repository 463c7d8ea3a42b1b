"""The comparison as one HTML page that needs nothing beside it: p99 and loop lag first, then all else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from loadtests import plots
from loadtests.summary import ALL, SMALL, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.samples import Run
    from loadtests.summary import Latency, Summary

LATE_S = 0.3
"""A busy machine lets an idle thread wait for tens of milliseconds; one that was paused, for far more than this."""

_MIB = 1 << 20
_TEN = 10
_THOUSAND = 1_000

_CSS = """
:root { color-scheme: light; --first: FIRST; --second: SECOND; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #0f172a; margin: 0; background: #f8fafc; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 8px; }
p, li { max-width: 78ch; } .quiet { color: #64748b; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin: 20px 0; }
.tile { background: #fff; border: 1px solid #e2e8f0; border-radius: 10px; padding: 14px 16px; }
.tile h3 { font-size: 13px; margin: 0 0 8px; color: #64748b; font-weight: 600; }
.tile div { display: flex; justify-content: space-between; align-items: baseline; gap: 8px; }
.tile b { font-size: 22px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.first { color: var(--first); } .second { color: var(--second); }
.plot { background: #fff; border: 1px solid #e2e8f0; border-radius: 10px; padding: 12px; }
.plot svg { width: 100%; height: auto; display: block; }
table { border-collapse: collapse; width: 100%; background: #fff; border: 1px solid #e2e8f0; border-radius: 10px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid #e2e8f0; white-space: nowrap; }
th:first-child, td:first-child, td.name, th.name { text-align: left; } thead th { font-size: 13px; color: #64748b; }
tbody tr:last-child td { border-bottom: 0; } tr.apart td { border-top: 2px solid #cbd5e1; } .bad { color: #b91c1c; font-weight: 600; }
@media (max-width: 760px) { .tiles { grid-template-columns: repeat(2, 1fr); } .wide { overflow-x: auto; } }
""".replace("FIRST", plots.COLOURS[0]).replace("SECOND", plots.COLOURS[1])


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure of each run under a heading."""

    heading: str
    values: tuple[str, ...]


def render(runs: Sequence[Run], facts: Mapping[str, str]) -> str:
    """Return the page for the runs, the first of which is the one with workers."""
    summaries = [summarise(run) for run in runs]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Load: {escape(' against '.join(run.label for run in runs))}</title><style>{_CSS}</style></head><body><main>",
        f"<h1>{escape(verdict(summaries))}</h1>",
        f"<p class='quiet'>{escape(_what_ran(summaries))}</p>",
        _tiles(tiles(summaries), summaries),
        _plot("p99 of small requests, second by second", plots.p99_over_time(runs)),
        _plot("Lag of the server's event loop", plots.loop_lag_over_time(runs)),
        _plot("Latency by kind of request", plots.latency_by_name(summaries)),
        f"<h2>Figures</h2><div class='wide'>{_table(summaries)}</div>",
        _failures(summaries),
        _plot("Requests a second", plots.requests_over_time(runs)),
        _plot("Memory of the server's processes", plots.memory_over_time(runs)),
        "<h2>How it was measured</h2><ul>",
        *(f"<li><b>{escape(name)}</b>: {escape(fact)}</li>" for name, fact in facts.items()),
        "</ul></main></body></html>\n",
    ]
    return "\n".join(parts)


def verdict(summaries: Sequence[Summary]) -> str:
    """Return the page's first line: what the flag did to p99 and to the loop."""
    first, second = summaries
    return (
        f"p99 of small requests {milliseconds(first.small.p99_ms)} {first.label}, "
        f"{milliseconds(second.small.p99_ms)} {second.label}; "
        f"the event loop stood still for up to {milliseconds(first.loop_lag_worst_ms)} "
        f"and {milliseconds(second.loop_lag_worst_ms)}"
    )


def tiles(summaries: Sequence[Summary]) -> list[Tile]:
    """Return the figures that stand on top, the two that matter most first."""
    return [
        Tile(heading="p99, small requests", values=tuple(milliseconds(s.small.p99_ms) for s in summaries)),
        Tile(heading="longest loop lag", values=tuple(milliseconds(s.loop_lag_worst_ms) for s in summaries)),
        Tile(
            heading="p99, point reads",
            values=tuple(
                milliseconds(next((each.p99_ms for each in s.by_name if each.name == "point read"), None))
                for s in summaries
            ),
        ),
        Tile(heading="requests/s", values=tuple(f"{s.total.per_s:,.0f}" for s in summaries)),
        Tile(heading="p50, small requests", values=tuple(milliseconds(s.small.p50_ms) for s in summaries)),
        Tile(
            heading="loop lag, p99 of readings",
            values=tuple(milliseconds(s.loop_lag_p99_ms) for s in summaries),
        ),
        Tile(
            heading="memory, peak", values=tuple(f"{s.memory_peak_bytes / _MIB:,.0f} MiB" for s in summaries)
        ),
        Tile(
            heading="failed / refused",
            values=tuple(f"{s.total.failed_count} / {s.total.refused_count}" for s in summaries),
        ),
    ]


def milliseconds(value: float | None) -> str:
    """Return a time as a reader takes it in at a glance."""
    if value is None:
        return "-"
    if value >= _THOUSAND:
        return f"{value / _THOUSAND:.2f} s"
    return f"{value:.0f} ms" if value >= _TEN else f"{value:.1f} ms"


def _what_ran(summaries: Sequence[Summary]) -> str:
    runs = "; ".join(f"{summary.label}: {summary.pool or 'pool unknown'}" for summary in summaries)
    first = summaries[0]
    late = max(summary.machine_late_s for summary in summaries)
    stood_still = (
        f" The machine itself stood still for up to {late:.1f} s: repeat the run." if late > LATE_S else ""
    )
    return (
        f"{first.seconds:.0f} s each at {first.offered_per_s:,.0f} requests/s offered. {runs}.{stood_still}"
    )


def _tiles(shown: Sequence[Tile], summaries: Sequence[Summary]) -> str:
    parts = ["<div class='tiles'>"]
    for tile in shown:
        lines = "".join(
            f"<div class='{side}'><span>{escape(summary.label)}</span><b>{escape(value)}</b></div>"
            for side, summary, value in zip(("first", "second"), summaries, tile.values, strict=True)
        )
        parts.append(f"<section class='tile'><h3>{escape(tile.heading)}</h3>{lines}</section>")
    return "".join([*parts, "</div>"])


def _plot(heading: str, svg: str) -> str:
    return f"<h2>{escape(heading)}</h2><div class='plot'>{svg}</div>"


def _table(summaries: Sequence[Summary]) -> str:
    names = [SMALL, ALL, *sorted({latency.name for summary in summaries for latency in summary.by_name})]
    head = "<thead><tr><th>request</th><th class='name'>run</th><th>asked</th><th>per s</th><th>p50</th><th>p95</th><th>p99</th><th>worst</th><th>refused</th><th>failed</th></tr></thead>"
    rows: list[str] = []
    for name in names:
        shown = name
        for side, summary in zip(("first", "second"), summaries, strict=True):
            latency = {each.name: each for each in (summary.small, summary.total, *summary.by_name)}.get(name)
            if latency is not None:
                rows.append(_table_row(latency, summary.label, shown=shown, side=side))
                shown = ""
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _table_row(latency: Latency, label: str, *, shown: str, side: str) -> str:
    times = "".join(
        f"<td>{milliseconds(value)}</td>"
        for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.worst_ms)
    )
    failed = f"<td class='{'bad' if latency.failed_count else ''}'>{latency.failed_count}</td>"
    return (
        f"<tr class='{'apart' if shown else ''}'><td>{escape(shown)}</td>"
        f"<td class='name {side}'>{escape(label)}</td><td>{latency.request_count:,}</td>"
        f"<td>{latency.per_s:,.1f}</td>{times}<td>{latency.refused_count}</td>{failed}</tr>"
    )


def _failures(summaries: Sequence[Summary]) -> str:
    lines = [
        f"<li><b>{escape(summary.label)}</b>: {count} x {escape(what)}</li>"
        for summary in summaries
        for what, count in summary.failures
    ]
    if not lines:
        return "<p class='quiet'>No request failed. A refusal is a 503 with Retry-After: a bound that did its work.</p>"
    return f"<h2 class='bad'>What failed</h2><ul>{''.join(lines)}</ul>"
